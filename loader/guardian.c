/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guardian.c - bring the guest back where its process has died; see guardian.h.
 *
 * All of it runs in the helper, whose thread pointer is that of the program that was replaced: system calls only.
 */
#include "guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "execute.h"
#include "vm.h"

#define LOOK_S 1

/*
 * A deadline inside the new program is its own to keep, once it has come to our code. What only holds memory for the way
 * back (GUARDIAN_NONE) has nobody to watch.
 */
static bool is_stuck(const struct guardian *g)
{
	const uint64_t *m = vm.journal->moment;

	return g->leader >= 0 && m[JOURNAL_EXEC] > m[JOURNAL_STARTED] && clock_now() > m[JOURNAL_EXEC] + g->limit;
}

static bool is_dead(const struct guardian *g)
{
	struct pollfd watch = { .fd = g->leader, .events = POLLIN };
	struct timespec now = { .tv_sec = 0 };

	return syscall(SYS_ppoll, &watch, 1, &now, NULL, 0) == 1;
}

/* Until the pipe's other end is closed, by a process that has the guest or is gone. */
static void wait_for_end(const struct execution *e)
{
	struct pollfd watch = { .fd = e->holder_wait, .events = POLLIN };

	for (;;) {
		struct timespec look = { .tv_sec = LOOK_S };

		if (syscall(SYS_ppoll, &watch, 1, &look, NULL, 0) == 1 || is_dead(&e->guardian))
			return;
		if (is_stuck(&e->guardian)) {
			static const char why[] = "the new program did not come to the shim's code in time";

			memcpy(vm.journal->reason, why, sizeof(why));
			syscall(SYS_pidfd_send_signal, e->guardian.leader, SIGKILL, NULL, 0);
		}
	}
}

static void bring_back(const struct execution *e)
{
	static const char why[] = "the new QEMU's process was killed, or ended before it could go back";
	static const char lost[] = "cprshim: the old QEMU could not be started again: the guest is lost\n";

	if (!vm.journal->reason[0])
		memcpy(vm.journal->reason, why, sizeof(why));
	vm.journal->guardian = (int32_t)syscall(SYS_getpid);
	/* The state names the pipe; nothing else may come to stand under its number. */
	syscall(SYS_dup3, e->holder_wait, e->holder_pipe, 0);
	/* Where a command was to come between, they were to close with its exec. */
	for (size_t i = 0; i < e->keep.count; i++)
		syscall(SYS_fcntl, e->keep.fd[i], F_SETFD, 0);
	vm_mark(JOURNAL_EXEC);
	start_exec(&e->guardian.back);
	syscall(SYS_write, STDERR_FILENO, lost, sizeof(lost) - 1);
}

/**
 * guardian_watch() - for the helper: wait until the update is over, and go back where it ended badly
 * @e: the exec; its descriptors and the pipe are open here
 *
 * Returns where nothing is left to do.
 */
void guardian_watch(const struct execution *e)
{
	wait_for_end(e);
	if (e->guardian.back.fd < 0 || vm.journal->committed)
		return;
	/* What it held open must be free: locks on images, names of sockets. */
	while (!is_dead(&e->guardian)) {
		struct pollfd watch = { .fd = e->guardian.leader, .events = POLLIN };

		syscall(SYS_ppoll, &watch, 1, NULL, NULL, 0);
	}
	if (!vm.journal->committed)
		bring_back(e);
}
