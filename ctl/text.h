/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* text.h - text that others wrote, made fit for a terminal. */
#ifndef CPRSHIM_CTL_TEXT_H
#define CPRSHIM_CTL_TEXT_H

#include <stddef.h>
#include <stdio.h>

/* What a word says to whoever looks at it in passing. */
enum text_color {
	TEXT_PLAIN,
	TEXT_GOOD,
	TEXT_WARNING,
	TEXT_BAD,
};

const char *text_color(FILE *out, enum text_color color);
void text_print(FILE *out, const char *text);
char *text_escaped(const void *bytes, size_t len);
size_t text_width(const char *escaped);
void text_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
