/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * entry.c - where a program begins: __libc_start_main() is called with main() and its arguments, after every
 * constructor and before any of the program's own code.
 *
 * In a program that is no VMM, and in a QEMU that runs no guest, nothing is done at all. Nothing here has an effect
 * that others can see (thread, socket, path): QEMU may yet fork for -daemonize.
 *
 * There may be two of these libraries in a program: the one that an exec was given and the one of /etc/ld.so.preload, which
 * was upgraded meanwhile. The first that comes here has the VM; the hooks of the other pass straight through.
 */
#include <stdlib.h>
#include <sys/auxv.h>

#include "../shim/real.h"
#include "../shim/settings.h"
#include "argv.h"
#include "first.h"
#include "probe.h"
#include "start.h"
#include "successor.h"

static int (*program_main)(int, char **, char **);

/* A successor that returns from main() without having run the guest has given up like any that calls exit(). */
static int main_and_exit(int argc, char **argv, char **envp)
{
	settings_give_way(false);
	exit(program_main(argc, argv, envp));
}

static int count(char **argv)
{
	int n = 0;

	while (argv[n])
		n++;
	return n;
}

SHIM_HOOK int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void),
				void (*fini)(void), void (*rtld_fini)(void), void *stack_end)
{
	char **envp = argv + argc + 1;
	char **vmm_argv = NULL;

	if (settings_another_is_active())
		return real(__libc_start_main)(main, argc, argv, init, fini, rtld_fini, stack_end);
	program_main = main;
	start_note_main((const void *)main);
	settings_read(envp);
	/*
	 * A program that gains rights must not do what its caller's environment says; it is preloaded only from trusted
	 * paths.
	 */
	if (argc > 0 && !getauxval(AT_SECURE) && start_is_vmm(argv[0])) {
		if (settings.probe_fd >= 0)
			probe_answer(settings.probe_fd, argv);
		else if (settings.state_fd >= 0)
			vmm_argv = successor_adopt(settings.state_fd, argv);
		else if (!argv_is_inert(argv))
			vmm_argv = first_start(argv, envp);
	}
	if (!vmm_argv)
		return real(__libc_start_main)(main, argc, argv, init, fini, rtld_fini, stack_end);
	settings_give_way(true);
	return real(__libc_start_main)(main_and_exit, count(vmm_argv), vmm_argv, init, fini, rtld_fini, stack_end);
}
