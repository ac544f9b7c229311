/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* revive.c - the guardian's way back; see revive.h. System calls only, as in guardian.c. */
#include "revive.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../shim/log.h"
#include "clock.h"
#include "execute.h"
#include "plaintext.h"
#include "vm.h"

#define PAUSE_MAX_S 10
#define LINE_BYTES  (2 * JOURNAL_REASON + 1024)

static char stack[16384] __attribute__((aligned(16)));
static long child;	/* the last try's process, or 0 */
static int start_error; /* why it is not even that */
static unsigned int tries;
static int pipe_end = -1; /* what the child gets under the number that the state names */

/* Numbers below are the program's own, where it has them. */
static int above_standard(int fd)
{
	int high;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	high = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	syscall(SYS_close, fd);
	return high;
}

/* As log_message() writes it. */
static void log_line(const char *text)
{
	static char line[LINE_BYTES];
	uint64_t now = clock_real_ms();
	const size_t size = sizeof(line);

	line[0] = '\0';
	plaintext_add(line, size, "cprshim[");
	plaintext_add_number(line, size, (uint64_t)syscall(SYS_getpid));
	plaintext_add(line, size, "] ");
	plaintext_add_number(line, size, now / 1000);
	plaintext_add(line, size, now % 1000 < 10 ? ".00" : now % 1000 < 100 ? ".0" : ".");
	plaintext_add_number(line, size, now % 1000);
	plaintext_add(line, size, " error: ");
	plaintext_add(line, size - 1, text);
	plaintext_add(line, size, "\n");
	if (log_descriptor() >= 0)
		syscall(SYS_write, log_descriptor(), line, strlen(line));
}

/* As control_progress() sends it. */
static void send_progress(int requester, const char *text)
{
	static char line[LINE_BYTES];
	const size_t size = sizeof(line);

	if (requester < 0)
		return;
	line[0] = '\0';
	plaintext_add(line, size, "{\"type\":\"progress\",\"stage\":\"back\",\"guardian\":");
	plaintext_add_number(line, size, (uint64_t)syscall(SYS_getpid));
	plaintext_add(line, size, ",\"text\":");
	plaintext_add_quoted(line, size, text);
	plaintext_add(line, size, "}\n");
	syscall(SYS_sendto, requester, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
}

static void say(const struct guardian *g, unsigned int pause_s)
{
	static char text[LINE_BYTES];
	const char *trouble = vm.journal->trouble;

	text[0] = '\0';
	plaintext_add(text, sizeof(text), "the guest stands still: ");
	plaintext_add(text, sizeof(text), trouble[0] ? trouble : vm.journal->reason);
	plaintext_add(text, sizeof(text), ". The old QEMU is started again");
	if (pause_s) {
		plaintext_add(text, sizeof(text), " in ");
		plaintext_add_number(text, sizeof(text), pause_s);
		plaintext_add(text, sizeof(text), " s, until that works or the guest is given up (kill ");
		plaintext_add_number(text, sizeof(text), (uint64_t)syscall(SYS_getpid));
		plaintext_add(text, sizeof(text), ")");
	}
	log_line(text);
	send_progress(g->requester, text);
}

/* Why the last try came to nothing, where it has not said so itself. */
static void note_end(void)
{
	char *to = vm.journal->trouble;
	bool there = child > 0;
	int status = 0;

	if (there)
		there = syscall(SYS_wait4, child, &status, __WALL, NULL) == child;
	if (to[0])
		return;
	plaintext_add(to, JOURNAL_REASON, "the old QEMU ");
	if (start_error) {
		const char *why = strerrordesc_np(start_error);

		plaintext_add(to, JOURNAL_REASON, "could not be started: ");
		plaintext_add(to, JOURNAL_REASON, why ? why : "");
	} else if (there && WIFEXITED(status)) {
		plaintext_add(to, JOURNAL_REASON, "ended with status ");
		plaintext_add_number(to, JOURNAL_REASON, (uint64_t)WEXITSTATUS(status));
	} else if (there) {
		plaintext_add(to, JOURNAL_REASON, "was killed by signal ");
		plaintext_add_number(to, JOURNAL_REASON, (uint64_t)WTERMSIG(status));
	} else {
		plaintext_add(to, JOURNAL_REASON, "was killed");
	}
}

/* Return: false where the guest was given up. */
static bool pause_for(const struct guardian *g, unsigned int seconds)
{
	struct pollfd watch = { .fd = g->ending, .events = POLLIN };
	struct timespec limit = { .tv_sec = seconds };

	return syscall(SYS_ppoll, &watch, 1, &limit, NULL, 0) != 1;
}

/* In the child, which shares the memory until it execs, and has descriptors of its own. */
static int become(void *opaque)
{
	struct execution *e = opaque;

	vm.journal->guardian = (int32_t)syscall(SYS_getpid);
	syscall(SYS_dup3, pipe_end, e->holder_pipe, 0);
	/* Where a command was to come between, they were to close with its exec. */
	for (size_t i = 0; i < e->keep.count; i++)
		syscall(SYS_fcntl, e->keep.fd[i], F_SETFD, 0);
	for (size_t i = 0; i < e->vhost_count; i++)
		vhost_release(&e->vhost[i]);
	vm_mark(JOURNAL_EXEC);
	start_exec(&e->guardian.back);
	start_error = errno;
	syscall(SYS_exit_group, 1);
	return 0;
}

static void set_stat(struct guardian *g, long pid)
{
	g->stat[0] = '\0';
	plaintext_add(g->stat, sizeof(g->stat), "/proc/");
	plaintext_add_number(g->stat, sizeof(g->stat), (uint64_t)pid);
	plaintext_add(g->stat, sizeof(g->stat), "/stat");
}

/* The pipe ends with this one child: the last one's end is not this one's. */
static int make_pipe(struct execution *e)
{
	int fds[2];

	if (syscall(SYS_pipe2, fds, O_CLOEXEC))
		return errno;
	fds[0] = above_standard(fds[0]);
	pipe_end = above_standard(fds[1]);
	if (fds[0] < 0 || pipe_end < 0 || syscall(SYS_dup3, fds[0], e->holder_wait, O_CLOEXEC) < 0)
		return errno;
	syscall(SYS_close, fds[0]);
	return 0;
}

static void start(struct execution *e)
{
	struct guardian *g = &e->guardian;
	int leader = -1;

	child = 0;
	start_error = make_pipe(e);
	if (!start_error) {
		/* Until the exec it stands still itself: what the child does to this memory is done by then. */
		child = clone(become, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, e,
			      &leader);
		if (child < 0)
			start_error = errno;
	}
	if (pipe_end >= 0)
		syscall(SYS_close, pipe_end);
	pipe_end = -1;
	if (child <= 0)
		return;
	syscall(SYS_close, g->leader);
	g->leader = above_standard(leader);
	set_stat(g, child);
}

/**
 * revive_begin() - the process that the guardian has watched is gone
 * @e: the exec that led to it
 */
void revive_begin(struct execution *e)
{
	static const char killed[] = "the new QEMU's process was killed, or ended before it could go back";
	const uint64_t signals =
		UINT64_C(1) << (SIGTERM - 1) | UINT64_C(1) << (SIGINT - 1) | UINT64_C(1) << (SIGHUP - 1);

	if (!vm.journal->reason[0])
		plaintext_add(vm.journal->reason, JOURNAL_REASON, killed);
	/* The way back had begun in that process. */
	if (vm.journal->tries)
		note_end();
	/* They are blocked, as all are (execute.h). */
	e->guardian.ending = above_standard((int)syscall(SYS_signalfd4, -1, &signals, sizeof(signals), O_CLOEXEC));
}

/**
 * revive() - start the old binary
 * @e: the exec; its guardian watches the new process when this comes back
 *
 * Return: false where the guest was given up.
 */
bool revive(struct execution *e)
{
	do {
		unsigned int pause_s = !tries ? 0 : tries < 5 ? 1u << (tries - 1) : PAUSE_MAX_S;

		if (tries)
			note_end();
		say(&e->guardian, pause_s);
		if (pause_s && !pause_for(&e->guardian, pause_s))
			return false;
		tries++;
		vm.journal->tries++;
		vm.journal->trouble[0] = '\0';
		vm.journal->back_pipe = 0;
		start(e);
	} while (start_error);
	return true;
}

/** revive_give_up() - an operator has ended the guardian, and with it the guest */
void revive_give_up(struct execution *e)
{
	static const char text[] = "the guest was given up by a signal while it stood still: it is lost";

	syscall(SYS_pidfd_send_signal, e->guardian.leader, SIGKILL, NULL, 0);
	log_line(text);
}
