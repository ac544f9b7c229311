/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nocancel.h - the hooks of what libc opens and closes where a thread must not be cancelled (sysdeps/unix/sysv/linux/
 * not-cancel.h): with a stream's lock held, for one.
 *
 * libc's __open64_nocancel() and __close_nocancel() cannot be called by name, so no exported hook stands for them. raw.c leads
 * their entries here. Signatures, results and errno are theirs; they record as open64() and close() do.
 */
#ifndef CPRSHIM_SHIM_NOCANCEL_H
#define CPRSHIM_SHIM_NOCANCEL_H

int nocancel_open(const char *path, int flags, ...);
int nocancel_close(int fd);

#endif
