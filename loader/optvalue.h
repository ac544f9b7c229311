/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * optvalue.h - the argument of an option of QEMU's, read as QEMU reads it.
 *
 * It is JSON where it begins with a brace, else "type,key=value,..." with the type's name left out or not
 * (util/qemu-option.c); older forms of character devices are "type:address" (chardev/char.c:qemu_chr_parse_compat).
 */
#ifndef CPRSHIM_LOADER_OPTVALUE_H
#define CPRSHIM_LOADER_OPTVALUE_H

#include <stdbool.h>
#include <stddef.h>

bool optvalue_get(const char *text, const char *key, char *ret, size_t size);
char *optvalue_without(const char *text, const char *const keys[]);
bool optvalue_on(const char *text, const char *key);
char *optvalue_escape(const char *value);
void optvalue_type(const char *text, char *ret, size_t size);

#endif
