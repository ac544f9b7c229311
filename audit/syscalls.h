/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* syscalls.h - what system calls do to descriptors and mappings. See syscalls.def. */
#ifndef CPRSHIM_AUDIT_SYSCALLS_H
#define CPRSHIM_AUDIT_SYSCALLS_H

#include <stdbool.h>
#include <stdint.h>

enum syscall_effect {
	SYSCALL_UNKNOWN,
	SYSCALL_NONE,
	SYSCALL_PROCESS,
	SYSCALL_MAPPING,
	SYSCALL_DESCRIPTOR,
};

const char *syscalls_name(uint64_t number);
enum syscall_effect syscalls_effect(uint64_t number);

#endif
