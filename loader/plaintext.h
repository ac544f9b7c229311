/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plaintext.h - sentences put together where libc must not be asked: in signal handlers, and in the guardian. */
#ifndef CPRSHIM_LOADER_PLAINTEXT_H
#define CPRSHIM_LOADER_PLAINTEXT_H

#include <stddef.h>
#include <stdint.h>

void plaintext_add(char *to, size_t size, const char *text);
void plaintext_add_number(char *to, size_t size, uint64_t number);
void plaintext_add_quoted(char *to, size_t size, const char *text);

#endif
