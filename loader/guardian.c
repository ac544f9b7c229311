/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guardian.c - bring the guest back where its process has died; see guardian.h.
 *
 * But for guardian_lives() it runs in the helper, whose thread pointer is that of the program that was replaced: system calls
 * only.
 */
#include "guardian.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "execute.h"
#include "plaintext.h"
#include "revive.h"
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
		return clock_now() > limit ? "the program did not come to the shim's code in time" : NULL;
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

/*
 * Until the pipe's other end is closed, by a process that has the guest or is gone.
 *
 * Return: false where the guest was given up.
 */
static bool wait_for_end(const struct execution *e)
{
	const struct guardian *g = &e->guardian;

	for (;;) {
		struct pollfd watch[] = { { .fd = e->holder_wait, .events = POLLIN },
					  { .fd = g->ending, .events = POLLIN } };
		struct timespec look = { .tv_sec = LOOK_S };
		uint64_t before = clock_now();

		syscall(SYS_ppoll, watch, 2, &look, NULL, 0);
		if (watch[0].revents || is_dead(g))
			return true;
		if (watch[1].revents)
			return false;
		uint64_t took = clock_now() - before;
		if (took > FROZEN_NS || is_stopped(g))
			stood_still += took;
		const char *why = what_is_stuck(g);
		if (why) {
			char *to = vm.journal->guardian ? vm.journal->trouble : vm.journal->reason;

			if (!to[0])
				plaintext_add(to, JOURNAL_REASON, why);
			syscall(SYS_pidfd_send_signal, g->leader, SIGKILL, NULL, 0);
		}
	}
}

/* What it held open must be free: locks on images, names of sockets. */
static void wait_for_death(const struct guardian *g)
{
	while (!is_dead(g)) {
		struct pollfd watch = { .fd = g->leader, .events = POLLIN };

		syscall(SYS_ppoll, &watch, 1, NULL, NULL, 0);
	}
}

/**
 * guardian_watch() - for the helper: wait until the update is over, and go back where it ended badly
 * @e: the exec; its descriptors and the pipe are open here
 *
 * Returns where nothing is left to do.
 */
void guardian_watch(struct execution *e)
{
	bool goes_on = wait_for_end(e);

	if (e->guardian.back.fd < 0 || vm.journal->committed)
		return;
	wait_for_death(&e->guardian);
	if (vm.journal->committed)
		return;
	revive_begin(e);
	do {
		goes_on = revive(e) && wait_for_end(e);
		if (goes_on && !vm.journal->committed)
			wait_for_death(&e->guardian);
	} while (goes_on && !vm.journal->committed);
	if (!vm.journal->committed)
		revive_give_up(e);
}

/**
 * guardian_lives() - in a program that was exec'd for an update: would the guardian begin anew where this one ends?
 *
 * Async-signal-safe.
 */
bool guardian_lives(void)
{
	pid_t pid = vm.journal->holder[0];
	siginfo_t info = { .si_pid = 0 };

	if (pid <= 0)
		return false;
	/* It is this process's parent where it has started it, else its child. */
	return getppid() == pid ||
	       (!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) && !info.si_pid);
}
