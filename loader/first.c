/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * first.c - a VMM that has just been started: remember how, hold what an update will need, and wait for QEMU to be past
 * its forks.
 *
 * Whatever fails here must not keep the guest from running: the VM then runs as it would without us, and cannot be
 * updated.
 */
#include "first.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "../shim/guard.h"
#include "../shim/inspect.h"
#include "../shim/lifecycle.h"
#include "../shim/log.h"
#include "../shim/raw.h"
#include "../shim/real.h"
#include "../shim/session.h"
#include "../shim/settings.h"
#include "../shim/slots.h"
#include "../shim/table.h"
#include "../shim/tty.h"
#include "argv.h"
#include "changes.h"
#include "confined.h"
#include "control.h"
#include "ending.h"
#include "fault.h"
#include "pidfile.h"
#include "pins.h"
#include "qmp.h"
#include "rollback.h"
#include "service.h"
#include "takeover.h"
#include "vm.h"

static bool started; /* the main loop has been reached once */

/** first_log() - log to where the environment says */
void first_log(void)
{
	/*
	 * Where stderr was closed, its number will be some file of QEMU's: a message there would be written into a
	 * disk.
	 */
	int otherwise = real(fcntl)(STDERR_FILENO, F_GETFD) < 0 ? -1 : STDERR_FILENO;
	int fd = otherwise;

	if (settings.log_file && *settings.log_file) {
		fd = real(open)(settings.log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		fd = fd < 0 ? otherwise : slots_move(fd);
	}
	log_setup((enum log_level)settings.log_level, fd);
}

/*
 * The forks of -daemonize: the child goes on as the VM, and the parent, which only waits for it, must not write the
 * table any more: the published copy is shared by both.
 */
static bool is_daemonizing(void)
{
	return vm.daemonized && !started;
}

static void in_forked_child(void)
{
	if (is_daemonizing())
		guard_own();
}

static void in_forking_parent(void)
{
	if (is_daemonizing())
		guard_disown();
}

static void main_loop_ready(void)
{
	if (guard_role() == SHIM_SUCCESSOR)
		fault_at("init");
	ending_watch(qmp_private.fd);
	if (started || guard_role() != SHIM_VMM)
		return;
	started = true;
	vm.start_time = vm_start_time();
	table_arm();
	control_open();
	service_start();
}

static void exiting(const char *how, int status)
{
	rollback_on_exit(how, status);
	rollback_release_output();
	takeover_ended();
	control_ended();
	if (control_path()[0])
		pins_remove_links(control_links_dir(getpid()));
	control_remove();
	pidfile_remove();
}

/** first_lifecycle() - be told of the moments in QEMU's life */
void first_lifecycle(void)
{
	static const struct lifecycle ops = { .main_loop_ready = main_loop_ready, .exiting = exiting };

	lifecycle_register(&ops);
	session_set_escape(argv_escape(vm.argv));
	pthread_atfork(NULL, in_forking_parent, in_forked_child);
}

/* The path that the VMM was started by, made absolute: it is looked up anew at each update. */
static void find_program(void)
{
	const char *started_by = (const char *)getauxval(AT_EXECFN);
	char cwd[PATH_MAX];

	if (settings.binary) {
		started_by = settings.binary;
	} else if (vm.binary.start.how == START_LOADER) {
		started_by = vm.binary.start.argv[vm.binary.start.program];
		vm.configured_argv = vm.binary.start.argv;
	}
	if (started_by[0] == '/')
		snprintf(vm.configured, sizeof(vm.configured), "%s", started_by);
	else if (getcwd(cwd, sizeof(cwd)) && strlen(cwd) + strlen(started_by) + 2 < sizeof(vm.configured))
		stpcpy(stpcpy(stpcpy(vm.configured, cwd), "/"), started_by);
}

static uint64_t blocked_signals(void)
{
	uint64_t mask = 0;
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	for (int signal = 1; signal <= 64; signal++)
		if (sigismember(&set, signal) == 1)
			mask |= UINT64_C(1) << (signal - 1);
	return mask;
}

static void note_before(int fd, void *opaque)
{
	(void)opaque;
	if (!slots_owns(fd))
		table_note_before(fd);
}

static int remember(char **argv, char **envp)
{
	size_t n = 0;

	while (envp[n])
		n++;
	/* setenv() replaces pointers in environ; the strings themselves stay. */
	vm.envp = calloc(n + 1, sizeof(*vm.envp));
	vm.argv = argv;
	if (!vm.envp || !pins_own_path(vm.own_path, sizeof(vm.own_path)))
		return -ENOMEM;
	memcpy(vm.envp, envp, n * sizeof(*envp));
	vm.history = json_array();
	vm.signal_mask = blocked_signals();
	vm.daemonized = argv_has(argv, "daemonize");
	int rc = start_open_self(&vm.binary);
	if (!rc)
		rc = start_learn(&vm.binary.start, argv, 1);
	find_program();
	int library = real(open)(vm.own_path, O_RDONLY | O_CLOEXEC);
	vm.library_fd = library < 0 ? -errno : slots_move(library);
	int cwd = real(open)(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	vm.cwd_fd = cwd < 0 ? -1 : slots_move(cwd);
	return rc ? rc : vm.library_fd < 0 ? vm.library_fd : 0;
}

/* For the log, and for who asks for an update all the same. */
static void say_unprepared(const char *why)
{
	char text[512];

	snprintf(text, sizeof(text), "%s%s", why, confined_hint(why));
	log_error("this VM cannot be updated: %s", text);
	table_incomplete(text);
	service_refuse_signal();
}

/**
 * first_start() - prepare for updates
 * @argv: the user's arguments
 * @envp: the environment
 *
 * Return: arguments for QEMU's main(), or NULL to run it as if we were not there.
 */
char **first_start(char **argv, char **envp)
{
	guard_own();
	vm_note_standard();
	slots_setup();
	first_log();
	tty_remember();
	int rc = table_setup(0);
	if (!rc)
		rc = remember(argv, envp);
	if (!rc)
		rc = inspect_each(note_before, NULL);
	settings_hide(vm.own_path, envp, "");
	const char *config = rc ? NULL : service_prepare_monitor();
	if (!config) {
		say_unprepared(rc ? strerror(-rc) : "no private monitor");
		return NULL;
	}
	guard_set_role(SHIM_VMM);
	service_catch_signal();
	first_lifecycle();
	changes_watch();
	raw_start(vm.own_path);
	const char *const extra[] = { "-readconfig", config, NULL };
	return argv_with(argv, extra);
}
