/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guard.h - who may record: the process that owns the table, outside our own code.
 *
 * QEMU's children run the same hooks: an ifup script's child closes every number, async-teardown shares our memory.
 * They must not touch the table, so every record asks guard_enter() first, which compares the process id by a system
 * call (libc may cache). Cold paths only: ioctl passes KVM's calls on before it.
 */
#ifndef CPRSHIM_SHIM_GUARD_H
#define CPRSHIM_SHIM_GUARD_H

#include <stdbool.h>
#include <sys/types.h>

enum shim_role {
	SHIM_OFF, /* no VMM, or QEMU asked only for help or its capabilities: every hook passes straight through */
	SHIM_VMM, /* runs a guest */
	SHIM_SUCCESSOR, /* being brought up: hooks answer with preserved descriptors, exits lead back */
};

extern int guard_role_now; /* enum shim_role; written by guard_set_role() only */

static inline enum shim_role guard_role(void)
{
	return (enum shim_role)__atomic_load_n(&guard_role_now, __ATOMIC_ACQUIRE);
}

void guard_set_role(enum shim_role role);
void guard_stand_beside(bool for_show);
void guard_take_over(void);
bool guard_is_beside(void);
bool guard_rehearses(void);
void guard_note_shown(void);
bool guard_has_shown(void);
void guard_own(void);
void guard_disown(void);
bool guard_is_owner(void);
bool guard_enter(void);
void guard_leave(void);
void guard_thread_is_ours(void);
bool guard_in_program_text(const void *address);

#endif
