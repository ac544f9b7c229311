/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * insider.c - makes a program of test/programs/ that is linked with shim/ a VMM: for sanitizers, which cannot look into
 * a library that is preloaded into a program without them.
 */
#include "shim/guard.h"
#include "shim/inspect.h"
#include "shim/slots.h"
#include "shim/table.h"

static void note(int fd, void *opaque)
{
	(void)opaque;
	if (!slots_owns(fd))
		table_note_before(fd);
}

/* What loader/first.c does, as far as it is about descriptors; the last constructor of all. */
__attribute__((constructor(65535))) static void become_vmm(void)
{
	guard_own();
	slots_setup();
	if (table_setup(0) || inspect_each(note, NULL))
		__builtin_trap();
	guard_set_role(SHIM_VMM);
	table_arm();
}
