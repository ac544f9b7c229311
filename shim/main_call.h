/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main_call.h - run a function of ours on QEMU's main thread, under its big lock.
 *
 * Some of QEMU's functions may be called nowhere else. A bottom half of QEMU's own runs it, where the binary exports what that
 * takes. Else QMP's pmemsave opens a file by name on the main thread, with the lock held and no other effect before that
 * (softmmu/cpus.c:qmp_pmemsave): a name that only we know makes the hook of fopen() call the function instead, and the command
 * fails with "no such file", which is what its sender waits for.
 */
#ifndef CPRSHIM_SHIM_MAIN_CALL_H
#define CPRSHIM_SHIM_MAIN_CALL_H

#include <stdbool.h>
#include <stdint.h>

typedef void main_call_fn(void *opaque);

bool main_call_is_direct(void);
bool main_call_begin(main_call_fn *fn, void *opaque);
int main_call_end(uint64_t deadline_ns);
const char *main_call_name(void);
bool main_call_intercept(const char *path);

#endif
