/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks_process.c - the ways out of a program.
 *
 * A successor that gives up before the guest runs leads back to the old binary, from inside its exit(). The hooks stand
 * at the PLT, so that QEMU's exit notifiers, which would unlink the pidfile and run the down script, do not run then.
 * fork and vfork are not hooked: a child is told from the owner by its process id.
 */
#include "guard.h"
#include "lifecycle.h"
#include "real.h"

static void leaving(const char *how, int status)
{
	if (guard_role() != SHIM_OFF && guard_is_owner())
		lifecycle_exiting(how, status);
}

SHIM_HOOK void exit(int status)
{
	leaving("exit", status);
	real(exit)(status);
	__builtin_unreachable();
}

SHIM_HOOK void _exit(int status)
{
	leaving("_exit", status);
	real(_exit)(status);
	__builtin_unreachable();
}

SHIM_HOOK void _Exit(int status)
{
	leaving("_exit", status);
	real(_Exit)(status);
	__builtin_unreachable();
}

SHIM_HOOK void quick_exit(int status)
{
	leaving("exit", status);
	real(quick_exit)(status);
	__builtin_unreachable();
}

SHIM_HOOK void abort(void)
{
	leaving("abort", 0);
	real(abort)();
	__builtin_unreachable();
}
