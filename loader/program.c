/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* program.c - what is exec'd to start a QEMU with a state; see program.h. */
#include "program.h"

#include <errno.h>
#include <stdlib.h>

#include "argv.h"
#include "probe.h"

/*
 * The arguments that a QEMU is given by the exec: the user's own, so that the process looks as it did, and then what
 * keeps a QEMU without the shim from booting the guest afresh on its disk: with it, it waits for a state that nobody
 * sends.
 */
static char **make_args(void)
{
	const char *const fail_closed[] = { "-S", "-incoming", "defer", NULL };

	return argv_with(vm.argv + 1, fail_closed);
}

/**
 * program_find_args() - where in the arguments that came through the exec do those of the VM begin?
 * @exec_argv: what the kernel gave us
 * @ret_own:   how many come before them: the name, and what a command has added
 * @ret_shown: how many come before what keeps a QEMU without the shim from booting
 *
 * Return: false where a command did not pass them on.
 */
bool program_find_args(char *const exec_argv[], size_t *ret_own, size_t *ret_shown)
{
	char **args = make_args();
	bool found = args && start_ends_in(exec_argv, args, ret_own);
	size_t n = 0;

	while (vm.argv[n])
		n++;
	*ret_shown = found ? *ret_own + n - 1 : 0;
	free(args);
	return found;
}

/**
 * program_make() - what is exec'd to start a QEMU with the state
 * @ret:      path or descriptor, arguments and environment, of which the arrays are to be freed
 * @binary:   the QEMU
 * @variable: CPRSHIM_STATE
 *
 * Return: 0 or -ENOMEM.
 */
int program_make(struct program *ret, const struct vm_binary *binary, const char *variable)
{
	char **args = make_args();

	ret->fd = binary->fd;
	ret->path = start_path(binary);
	ret->argv = args ? start_argv(binary, binary->fd, vm.argv[0], (const char *const *)args) : NULL;
	ret->envp = probe_environment(binary, variable, vm.library_fd);
	free(args);
	return ret->argv && ret->envp ? 0 : -ENOMEM;
}
