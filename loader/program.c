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

static void put_binary(struct codec_writer *w, uint32_t role, const struct vm_binary *b)
{
	struct cpr_binary rec = {
		.role = role,
		.fd = b->fd,
		.path = b->path,
		.version = b->version,
		.package = b->package,
		.module_dir = b->module_dir,
		.firmware_dir = b->firmware_dir,
		.preload = b->preload,
	};

	cprstate_put_binary(w, &rec);
}

static void put_start(struct codec_writer *w, uint32_t role, uint32_t kind, const char *text)
{
	cprstate_put_start(w, &(struct cpr_start){ .role = role, .kind = kind, .text = text });
}

/* How the running QEMU is started again, and by which command the next one is, where that is not simply a file. */
static void put_starts(struct codec_writer *w, const struct start *back, const char *cpu)
{
	for (size_t i = 0; back->argv && back->argv[i]; i++)
		put_start(w, CPR_START_OLD,
			  back->how == START_LOADER && i == back->program ? CPR_START_PROGRAM : CPR_START_ARG,
			  back->argv[i]);
	for (size_t i = 0; back->envp && back->envp[i]; i++)
		put_start(w, CPR_START_OLD, CPR_START_ENV, back->envp[i]);
	/* What the new one is told besides, it is told by itself: a command may not know. */
	if (cpu[0]) {
		put_start(w, CPR_START_NEW, CPR_START_ARG, "-cpu");
		put_start(w, CPR_START_NEW, CPR_START_ARG, cpu);
	}
	for (size_t i = 0; vm.configured_argv && vm.configured_argv[i]; i++)
		put_start(w, CPR_START_CONFIGURED, CPR_START_ARG, vm.configured_argv[i]);
}

/**
 * program_put() - write into the state what a successor is started by and with, and how the running QEMU is again
 * @w:	    the state
 * @target: the new QEMU
 * @back:   the running one
 */
void program_put(struct codec_writer *w, const struct vm_binary *target, const struct vm_binary *back)
{
	put_binary(w, CPR_BINARY_OLD, back);
	put_binary(w, CPR_BINARY_NEW, target);
	put_starts(w, &back->start, target->cpu);
	for (size_t i = 0; vm.argv[i]; i++)
		cprstate_put_arg(w, &(struct cpr_arg){ .text = vm.argv[i] });
	for (size_t i = 0; vm.envp[i]; i++)
		cprstate_put_env(w, &(struct cpr_env){ .text = vm.envp[i] });
}
