/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* elffile.h - can a file be started with a library preloaded, and which build is it, by its first bytes? Is it a loader? */
#ifndef CPRSHIM_STATE_ELFFILE_H
#define CPRSHIM_STATE_ELFFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELFFILE_BYTES 4096u /* enough for the header and the program headers of any linker's output */

int elffile_check_header(const uint8_t *buf, size_t len, const char **ret_why);
int elffile_check(const uint8_t *buf, size_t len, const char **ret_why);
int elffile_build_id(const uint8_t *buf, size_t len, const uint8_t **ret_id, size_t *ret_len);
bool elffile_is_loader(const char *path);

#endif
