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
/* A look that took longer than this was not ours to take. */
#define FROZEN_NS UINT64_C(5000000000)
/* How long after its time is over the new program may take to go back by itself. */
#define GRACE_NS UINT64_C(10000000000)

/* Time that does not count: the process was stopped, by its operator or a debugger, or we were frozen with it. */
static uint64_t stood_still;

static bool is_stopped(const struct guardian *g)
{
	char text[256];
	int fd = (int)syscall(SYS_openat, AT_FDCWD, g->stat, O_RDONLY | O_CLOEXEC);
	long n = fd < 0 ? 0 : syscall(SYS_read, fd, text, sizeof(text));

	if (fd >= 0)
		syscall(SYS_close, fd);
	/* The command's name, in parentheses, may hold anything; the state comes after it. */
	while (n > 0 && text[n - 1] != ')')
		n--;
	return n > 0 && n + 1 < (long)sizeof(text) && (text[n + 1] == 'T' || text[n + 1] == 't');
}

/*
 * A deadline inside the new program is its own to keep, once it has come to our code; but that may be what hangs. A way back
 * that has begun has nowhere else to go. What only holds memory for the way back (GUARDIAN_NONE) has nobody to watch.
 */
static const char *what_is_stuck(const struct guardian *g)
{
	const uint64_t *m = vm.journal->moment;
	uint64_t limit = m[JOURNAL_EXEC] + g->limit + stood_still;

	if (g->leader < 0 || vm.journal->committed)
		return NULL;
	if (m[JOURNAL_EXEC] > m[JOURNAL_STARTED])
		return clock_now() > limit ? "the new program did not come to the shim's code in time" : NULL;
	if (vm.journal->attempt == 1 && clock_now() > limit + GRACE_NS)
		return "the new program did not go back in time";
	return NULL;
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
		uint64_t before = clock_now();

		if (syscall(SYS_ppoll, &watch, 1, &look, NULL, 0) == 1 || is_dead(&e->guardian))
			return;
		uint64_t took = clock_now() - before;
		if (took > FROZEN_NS || is_stopped(&e->guardian))
			stood_still += took;
		const char *why = what_is_stuck(&e->guardian);
		if (why) {
			if (!vm.journal->reason[0])
				strcpy(vm.journal->reason, why);
			syscall(SYS_pidfd_send_signal, e->guardian.leader, SIGKILL, NULL, 0);
		}
	}
}

static void bring_back(struct execution *e)
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
	for (size_t i = 0; i < e->vhost_count; i++)
		vhost_release(&e->vhost[i]);
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
void guardian_watch(struct execution *e)
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
