/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* text.h - text that others wrote, made fit for a terminal. */
#ifndef CPRSHIM_CTL_TEXT_H
#define CPRSHIM_CTL_TEXT_H

#include <stddef.h>
#include <stdio.h>

void text_print(FILE *out, const char *text);
char *text_escaped(const void *bytes, size_t len);
size_t text_width(const char *escaped);
void text_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
