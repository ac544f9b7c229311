/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * program.h - what the programs of test/hooks.bats share.
 *
 * Each is started by a name that begins with qemu-system-, so that the shim takes it for a VMM, and once more without
 * the shim: what it prints on stdout must be the same. With EXPECT_TABLE in its environment it also holds the published
 * table against the kernel, and says on stderr where they differ.
 */
#ifndef CPRSHIM_TEST_PROGRAM_H
#define CPRSHIM_TEST_PROGRAM_H

#include <stdbool.h>

void program_start(void);
long program_say(const char *what, long result);
void program_expect(int fd, const char *kind, const char *origin, const char *detail);
void program_agree(const char *where);
void program_agree_but(const char *where, const char *const *unseen, const bool *closed);
void program_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool program_expects_table(void);
bool program_recorded(int fd);
unsigned int program_shim_fd(void);
int program_end(void);

#endif
