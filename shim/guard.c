/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guard.c - who may record; see guard.h. */
#include "guard.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

int guard_role_now = SHIM_OFF;

static pid_t owner;
static uintptr_t text_start, text_end;
/* Initial-exec: the general model may call malloc() on a thread's first use, and a preloaded malloc may call us. */
static __thread int depth __attribute__((tls_model("initial-exec")));

static int find_text(struct dl_phdr_info *info, size_t size, void *opaque)
{
	(void)size;
	(void)opaque;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_X)) {
			text_start = info->dlpi_addr + ph->p_vaddr;
			text_end = text_start + ph->p_memsz;
		}
	}
	return 1; /* the main program is the first one; no other is wanted */
}

/**
 * guard_set_role() - say what this process is from now on
 * @role: what it is
 *
 * Called before main() and at the end of an update, never by a hook.
 */
void guard_set_role(enum shim_role role)
{
	if (!text_end)
		dl_iterate_phdr(find_text, NULL);
	__atomic_store_n(&guard_role_now, role, __ATOMIC_RELEASE);
}

static bool beside, rehearsing, shown;

/**
 * guard_stand_beside() - another process runs the guest: nothing outside this one may change
 * @for_show: nor will it ever
 *
 * Before main().
 */
void guard_stand_beside(bool for_show)
{
	beside = true;
	rehearsing = for_show;
}

/** guard_take_over() - the other one has let go of the guest: from here on everything is as it is asked for */
void guard_take_over(void)
{
	__atomic_store_n(&beside, false, __ATOMIC_RELEASE);
}

/** guard_is_beside() - does another process run the guest? */
bool guard_is_beside(void)
{
	return __atomic_load_n(&beside, __ATOMIC_ACQUIRE);
}

/** guard_rehearses() - is this process a successor for show? */
bool guard_rehearses(void)
{
	return rehearsing;
}

/** guard_note_shown() - QEMU was given something that leads nowhere, since the one that runs the guest has it */
void guard_note_shown(void)
{
	__atomic_store_n(&shown, true, __ATOMIC_RELEASE);
}

/** guard_has_shown() - has it? Then it must not run the guest. */
bool guard_has_shown(void)
{
	return __atomic_load_n(&shown, __ATOMIC_ACQUIRE);
}

/**
 * guard_own() - make the calling process the owner of the table
 *
 * At start, and in the child that -daemonize leaves behind.
 */
void guard_own(void)
{
	owner = (pid_t)syscall(SYS_getpid);
}

/** guard_disown() - the table is another process's from now on: that of the parent that -daemonize leaves */
void guard_disown(void)
{
	owner = 0;
}

/** guard_is_owner() - is this the process that owns the table? Async-signal-safe. */
bool guard_is_owner(void)
{
	return (pid_t)syscall(SYS_getpid) == owner;
}

/**
 * guard_enter() - begin to record
 *
 * Return: true if the caller may record; it then calls guard_leave(). False in a child, in a process that is no VMM,
 * and inside our own code.
 */
bool guard_enter(void)
{
	if (guard_role() == SHIM_OFF || depth > 0 || !guard_is_owner())
		return false;
	depth++;
	return true;
}

/** guard_leave() - end what guard_enter() began */
void guard_leave(void)
{
	depth--;
}

/** guard_thread_is_ours() - nothing that the calling thread does is recorded from now on */
void guard_thread_is_ours(void)
{
	depth++;
}

/**
 * guard_in_program_text() - does an address lie in the main program's own code?
 * @address: a return address
 *
 * Tells QEMU's own mmap() from that of an allocator, a JIT or a driver in the same process, which use the same flags.
 */
bool guard_in_program_text(const void *address)
{
	return (uintptr_t)address >= text_start && (uintptr_t)address < text_end;
}
