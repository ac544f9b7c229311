/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* execute.c - replace this program; see execute.h. */
#include "execute.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "vm.h"

#define LEADER_WAIT_S 2
#define HOLDER_WAIT_S 10

/* What the leader is to do. The handler sees it between execute()'s tgkill and its answer. */
static struct execution *_Atomic wanted;
static _Atomic int answer; /* 0: none yet; else what execveat() failed with */
static int holder_pid = -1;
static _Atomic int holder_alone; /* the holder has closed what it does not need */
static char holder_stack[16384] __attribute__((aligned(16)));
static struct fdlist held; /* what the holder keeps open */

/**
 * execute_pipe() - make the holder's pipe
 * @e: holder_pipe and holder_wait are filled in
 *
 * Return: 0 or a negative errno.
 */
int execute_pipe(struct execution *e)
{
	int fds[2];

	if (real(pipe2)(fds, O_CLOEXEC))
		return -errno;
	e->holder_wait = slots_move(fds[0]);
	e->holder_pipe = slots_move(fds[1]);
	if (e->holder_wait < 0 || e->holder_pipe < 0)
		return -EMFILE;
	execute_keep(e, e->holder_pipe);
	return 0;
}

static void add(struct fdlist *list, int fd)
{
	size_t at = list->count;

	while (at && list->fd[at - 1] > fd)
		at--;
	if (fd < 0 || (at && list->fd[at - 1] == fd) || list->count == EXECUTE_KEEP)
		return;
	memmove(&list->fd[at + 1], &list->fd[at], (list->count++ - at) * sizeof(list->fd[0]));
	list->fd[at] = fd;
}

/** execute_keep() - keep a descriptor; a negative number is ignored */
void execute_keep(struct execution *e, int fd)
{
	add(&e->keep, fd);
}

/** execute_occupy() - a number stays in use through the exec, by whatever is there */
void execute_occupy(struct execution *e, int fd)
{
	add(&e->occupy, fd);
}

/** execute_carry() - of what is kept, only what is named here goes through the exec by itself */
void execute_carry(struct execution *e, int fd)
{
	add(&e->carry, fd);
}

/** execute_through() - what goes through the exec by itself */
const struct fdlist *execute_through(const struct execution *e)
{
	return e->carry.count ? &e->carry : &e->keep;
}

static void close_others(const struct fdlist *list)
{
	unsigned int from = 0;

	for (size_t i = 0; i < list->count; i++) {
		unsigned int fd = (unsigned int)list->fd[i];

		if (fd > from)
			syscall(SYS_close_range, from, fd - 1, 0);
		from = fd + 1;
	}
	syscall(SYS_close_range, from, ~0U, 0);
}

/*
 * The holder: on its own stack, in memory that exec leaves to it. System calls only: its thread pointer is the
 * leader's. What it has open beyond its need would be held open: an image's lock, a client's connection.
 */
static int hold(void *opaque)
{
	struct execution *e = opaque;

	close_others(&held);
	atomic_store(&holder_alone, 1);
	syscall(SYS_futex, &holder_alone, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	guardian_watch(e);
	return 0;
}

static void set_held(const struct execution *e)
{
	held.count = 0;
	if (e->guardian.back.fd >= 0) {
		for (size_t i = 0; i < e->keep.count; i++)
			if (e->keep.fd[i] != e->holder_pipe)
				add(&held, e->keep.fd[i]);
		for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
			if (vm_is_standard(fd))
				add(&held, fd);
		add(&held, e->guardian.leader);
		add(&held, log_descriptor());
	}
	add(&held, e->holder_wait);
}

static void start_holder(struct execution *e)
{
	struct timespec limit = { .tv_sec = HOLDER_WAIT_S };

	atomic_store(&holder_alone, 0);
	/* No exit signal: QEMU's own waiting for children must not meet it. */
	holder_pid = e->holder_wait < 0 ? -1 : clone(hold, holder_stack + sizeof(holder_stack), CLONE_VM, e);
	while (holder_pid > 0 && !atomic_load(&holder_alone))
		if (syscall(SYS_futex, &holder_alone, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0) && errno == ETIMEDOUT)
			break;
}

/*
 * The other threads go on until the exec, and may close a number that is not theirs any more: what is placed is in a table
 * that only this thread has.
 */
static void place(const struct execution *e)
{
	if (e->place_count)
		syscall(SYS_unshare, CLONE_FILES);
	for (size_t i = 0; i < e->place_count; i++)
		real(dup3)(e->place[i].fd, e->place[i].number, O_CLOEXEC);
}

static void set_cloexec(const struct execution *e)
{
	real(close_range)(3, ~0U, CLOSE_RANGE_CLOEXEC);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (!vm_is_standard(fd))
			real(fcntl)(fd, F_SETFD, FD_CLOEXEC);
	const struct fdlist *list = execute_through(e);
	for (size_t i = 0; i < list->count; i++)
		real(fcntl)(list->fd[i], F_SETFD, 0);
	for (size_t i = 0; !e->carry.count && i < e->occupy.count; i++)
		real(fcntl)(e->occupy.fd[i], F_SETFD, 0);
}

/**
 * execute_here() - exec on the calling thread
 * @e: what; its pipe is made
 *
 * Returns only if it failed, with everything as it was but for close-on-exec, which all descriptors have then, and
 * errno. Async-signal-safe.
 */
void execute_here(struct execution *e)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	sigset_t all, mask;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &mask);
	sigaction(SIGUSR2, &ignore, &before);
	place(e);
	set_cloexec(e);
	set_held(e);
	for (size_t i = 0; i < e->vhost_count; i++)
		vhost_release(&e->vhost[i]);
	start_holder(e);
	for (size_t i = 0; i < e->vhost_count; i++)
		vhost_separate(&e->vhost[i]);
	if (vm.journal)
		vm.journal->holder[vm.journal->attempt ? 1 : 0] = holder_pid;
	if (vm.journal && vm.journal->attempt && e->holder_pipe >= 0)
		vm.journal->back_pipe = e->holder_pipe;
	vm_mark(JOURNAL_EXEC);
	start_exec(&e->program);
	int saved = errno;
	for (size_t i = 0; i < e->vhost_count; i++)
		vhost_take_back(&e->vhost[i]);
	for (size_t i = 0; i < e->keep.count; i++)
		real(fcntl)(e->keep.fd[i], F_SETFD, FD_CLOEXEC);
	for (size_t i = 0; i < e->occupy.count; i++)
		real(fcntl)(e->occupy.fd[i], F_SETFD, FD_CLOEXEC);
	if (holder_pid > 0)
		syscall(SYS_kill, holder_pid, SIGKILL);
	sigaction(SIGUSR2, &before, NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	errno = saved;
}

/**
 * execute_on_signal() - for the handler of SIGUSR2: do what execute() wants
 *
 * Return: false where nothing is wanted, so that the signal was the user's.
 */
bool execute_on_signal(void)
{
	struct execution *e = atomic_load(&wanted);

	if (!e || syscall(SYS_gettid) != syscall(SYS_getpid))
		return false;
	if (!atomic_exchange(&wanted, NULL))
		return true;
	execute_here(e);
	atomic_store(&answer, errno);
	syscall(SYS_futex, &answer, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return true;
}

/**
 * execute() - have the leader exec
 * @e: what; stays the caller's and in use
 *
 * For the service thread. Where the leader does not react in time (a hung successor), the calling thread does it
 * itself.
 *
 * Return: only on failure: a negative errno.
 */
int execute(struct execution *e)
{
	struct timespec limit = { .tv_sec = LEADER_WAIT_S };

	atomic_store(&answer, 0);
	atomic_store(&wanted, e);
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2);
	while (!atomic_load(&answer)) {
		if (!syscall(SYS_futex, &answer, FUTEX_WAIT_PRIVATE, 0, &limit, NULL, 0) || errno != ETIMEDOUT)
			continue;
		if (!atomic_exchange(&wanted, NULL))
			continue; /* it has just begun */
		log_warn(
			"the main thread does not react: another one does the exec, and its affinity and priority count");
		execute_here(e);
		atomic_store(&answer, errno);
	}
	if (holder_pid > 0)
		waitpid(holder_pid, NULL, __WALL);
	if (vm.journal)
		vm.journal->holder[vm.journal->attempt ? 1 : 0] = -1;
	holder_pid = -1;
	return -atomic_load(&answer);
}
