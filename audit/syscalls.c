/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* syscalls.c - what system calls do to descriptors and mappings. See syscalls.def. */
#include "syscalls.h"

#include <stddef.h>

static const struct {
	const char *name;
	enum syscall_effect effect;
} syscalls[] = {
#define SYSCALL(number, name, effect) [number] = { #name, SYSCALL_##effect },
#include "syscalls.def"
#undef SYSCALL
};

#define SYSCALLS (sizeof(syscalls) / sizeof(syscalls[0]))

/**
 * syscalls_name() - what a system call is called
 * @number: its number
 *
 * Return: the name, NULL for one that is not known.
 */
const char *syscalls_name(uint64_t number)
{
	return number < SYSCALLS ? syscalls[number].name : NULL;
}

/**
 * syscalls_effect() - what a system call does
 * @number: its number
 */
enum syscall_effect syscalls_effect(uint64_t number)
{
	return number < SYSCALLS ? syscalls[number].effect : SYSCALL_UNKNOWN;
}
