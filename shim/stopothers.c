/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stopothers.c - something is done while no other thread of the process runs.
 *
 * Nothing that a process does to itself stops its threads but ptrace(2), and a thread cannot trace those of its own process.
 * So a helper does: a process of its own that shares the memory, while the calling thread waits in the kernel for it to end
 * (CLONE_VFORK). A thread that stands still may hold any lock of libc's: the helper makes system calls and no more. Its errno
 * is the calling thread's.
 */
#include "stopothers.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "real.h"

#define THREADS_MAX	 4096
#define LIMIT_MS	 2000
#define PAUSE_NS	 100000
#define PAUSE_DOUBLED	 8 /* times at most: 25.6 ms */
#define PAGE		 4096u
#define RED_ZONE	 128u /* below the stack pointer, and in use (System V ABI, AMD64, 3.2.2) */
#define EVENT_OF(status) ((status) >> 16)

#ifndef PR_SET_PTRACER_ANY
#define PR_SET_PTRACER	   0x59616d61 /* linux/prctl.h */
#define PR_SET_PTRACER_ANY ((unsigned long)-1)
#endif

static const char not_traceable[] =
	"its threads cannot be stopped: ptrace is forbidden, or another process traces them";
static const char not_in_time[] = "its threads did not stop in time";
static const char no_memory_read[] = "its threads' stacks cannot be read";

/*
 * One at a time.
 * @tasks:   the process's /proc/self/task
 * @maps:    its /proc/self/maps
 * @caller:  the thread that waits
 * @until:   when to give up, in ms of CLOCK_MONOTONIC
 * @threads: those that were stopped, each with the signal that it was about to be given, 0 for none
 */
static struct stopping {
	const struct code_range *ranges;
	size_t count;
	void (*work)(void *);
	void *arg;
	int tasks, maps;
	pid_t caller;
	uint64_t until;
	size_t thread_count;
	struct {
		pid_t id;
		int signal;
	} threads[THREADS_MAX];
	const char *why;
} stopping;

static char stack[32768] __attribute__((aligned(16)));

struct linux_dirent64 {
	uint64_t ino;
	int64_t offset;
	unsigned short size;
	unsigned char type;
	char name[];
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool is_inside(const struct stopping *s, uint64_t address)
{
	for (size_t i = 0; i < s->count; i++)
		if (address > s->ranges[i].start && address < s->ranges[i].end)
			return true;
	return false;
}

/* Where the mapping that an address lies in ends; 0 with why where that is not known. */
static uint64_t mapping_end(struct stopping *s, uint64_t address)
{
	static char text[4096];
	uint64_t number[2] = { 0, 0 };
	unsigned int field = 0; /* "start-end rest": which of these */
	long n;

	syscall(SYS_lseek, s->maps, 0L, SEEK_SET);
	while ((n = syscall(SYS_read, s->maps, text, sizeof(text))) > 0) {
		for (long i = 0; i < n; i++) {
			if (text[i] == '\n') {
				field = 0;
				number[0] = number[1] = 0;
			} else if (field < 2 && (text[i] == '-' || text[i] == ' ')) {
				if (field++ && address >= number[0] && address < number[1])
					return number[1];
			} else if (field < 2) {
				uint8_t digit = (uint8_t)(text[i] >= 'a' ? text[i] - 'a' + 10 : text[i] - '0');

				number[field] = number[field] << 4 | digit;
			}
		}
	}
	s->why = no_memory_read;
	return 0;
}

/*
 * A handler of a signal that came in the middle of a range returns to there: what the kernel put on the stack for it says
 * so. Nothing tells where on the stack that is, so no word may look like such an address, up to where the stack's memory ends:
 * what lies behind it may be a file's, and reading would fill its holes.
 */
static bool stack_leads_inside(struct stopping *s, uint64_t from)
{
	static uint64_t words[PAGE / sizeof(uint64_t)];
	uint64_t end = mapping_end(s, from);

	for (uint64_t at = from & ~(uint64_t)7; !s->why && at < end; at += PAGE - at % PAGE) {
		size_t size = PAGE - at % PAGE;
		struct iovec local = { .iov_base = words, .iov_len = size };
		struct iovec remote = { .iov_base = (void *)(uintptr_t)at, .iov_len = size };
		/* of our own memory: unlike a load it fails where it cannot be read */
		long n = syscall(SYS_process_vm_readv, syscall(SYS_getpid), &local, 1UL, &remote, 1UL, 0UL);

		if (n != (long)size)
			s->why = no_memory_read;
		for (long i = 0; i < n / 8; i++)
			if (is_inside(s, words[i]))
				return true;
	}
	return false;
}

/* Whether a thread that cannot be traced is one that has ended and is still there (EPERM: kernel, ptrace_attach()). */
static bool has_ended(const struct stopping *s, const char *name)
{
	static char text[512]; /* "id (name) state", the name being 63 bytes at most, which may be any */
	char *end = stpncpy(text, name, 16);
	long fd, n;

	strcpy(end, "/stat");
	fd = syscall(SYS_openat, s->tasks, text, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	n = syscall(SYS_read, fd, text, sizeof(text) - 1);
	syscall(SYS_close, fd);
	if (n <= 0)
		return true; /* ESRCH */
	text[n] = '\0';
	end = strrchr(text, ')');
	return end && (end[2] == 'Z' || end[2] == 'X');
}

/* Waits until a thread stops or ends. Return: 1 if it has stopped, 0 if it has ended, -1 with why. */
static int wait_for_stop(struct stopping *s, pid_t id, int *ret_signal)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int status;

	for (;;) {
		long rc = syscall(SYS_wait4, id, &status, __WALL | WNOHANG, NULL);

		if (rc < 0 || (rc == id && !WIFSTOPPED(status)))
			return 0;
		if (rc == id) {
			*ret_signal = EVENT_OF(status) ? 0 : WSTOPSIG(status);
			return 1;
		}
		if (now_ms() > s->until) {
			s->why = not_in_time;
			return -1;
		}
		syscall(SYS_nanosleep, &pause, NULL);
	}
}

/*
 * Lets a thread that stands in the middle of a range go on. An interruption that comes before the kernel has given it a CPU
 * would stop it where it stood: in a range it goes on by one instruction; what it will return there from has longer each
 * time.
 * Return: 1 if it has stopped again, 0 if it has ended, -1 with why.
 */
static int go_on(struct stopping *s, pid_t id, bool inside, unsigned int times, int *signal)
{
	struct timespec pause = { .tv_nsec = PAUSE_NS << (times < PAUSE_DOUBLED ? times : PAUSE_DOUBLED) };
	int rc, given = *signal;

	if (!inside) {
		if (ptrace(PTRACE_CONT, id, NULL, (long)given))
			return 0;
		syscall(SYS_nanosleep, &pause, NULL);
		return ptrace(PTRACE_INTERRUPT, id, NULL, NULL) ? 0 : wait_for_stop(s, id, signal);
	}
	if (ptrace(PTRACE_SINGLESTEP, id, NULL, (long)given))
		return 0;
	rc = wait_for_stop(s, id, signal);
	if (rc > 0 && *signal == SIGTRAP)
		*signal = 0; /* the step's own */
	return rc;
}

/* Stops a thread where nothing of it is in the middle of a range. */
static void stop(struct stopping *s, pid_t id, const char *name)
{
	struct user_regs_struct regs;
	int signal = 0;

	if (ptrace(PTRACE_SEIZE, id, NULL, NULL)) {
		if (errno != ESRCH && !has_ended(s, name))
			s->why = not_traceable;
		return;
	}
	if (ptrace(PTRACE_INTERRUPT, id, NULL, NULL) || wait_for_stop(s, id, &signal) <= 0)
		return;
	for (unsigned int times = 0;; times++) {
		bool inside;

		if (ptrace(PTRACE_GETREGS, id, NULL, &regs))
			return; /* killed */
		inside = is_inside(s, regs.rip);
		if (!inside && !stack_leads_inside(s, regs.rsp - RED_ZONE))
			break; /* or why */
		if (now_ms() > s->until && !s->why)
			s->why = not_in_time;
		if (s->why)
			break;
		if (go_on(s, id, inside, times, &signal) <= 0)
			return;
	}
	s->threads[s->thread_count].id = id;
	s->threads[s->thread_count++].signal = signal;
}

static bool is_stopped(const struct stopping *s, pid_t id)
{
	for (size_t i = 0; i < s->thread_count; i++)
		if (s->threads[i].id == id)
			return true;
	return false;
}

/* Stops what runs. Return: whether there was anything; a thread that ran may have made others. */
static bool stop_all(struct stopping *s)
{
	static char entries[32768];
	bool found = false;
	long n;

	syscall(SYS_lseek, s->tasks, 0L, SEEK_SET);
	while (!s->why && (n = syscall(SYS_getdents64, s->tasks, entries, sizeof(entries))) > 0) {
		for (long at = 0; !s->why && at < n;) {
			const struct linux_dirent64 *entry = (const void *)(entries + at);
			pid_t id = (pid_t)strtol(entry->name, NULL, 10);

			at += entry->size;
			if (id <= 0 || id == s->caller || is_stopped(s, id))
				continue;
			if (s->thread_count == THREADS_MAX)
				s->why = "it has too many threads";
			else if (now_ms() > s->until)
				s->why = not_in_time;
			else
				stop(s, id, entry->name);
			found = true;
		}
	}
	return found;
}

static int help(void *opaque)
{
	struct stopping *s = opaque;

	while (!s->why && stop_all(s))
		;
	if (!s->why)
		s->work(s->arg);
	for (size_t i = 0; i < s->thread_count; i++)
		ptrace(PTRACE_DETACH, s->threads[i].id, NULL, (long)s->threads[i].signal);
	return 0;
}

static void run_helper(struct stopping *s)
{
	pid_t pid;

	/* Where Yama lets a process trace its own children only, it may be asked for more; EINVAL where there is no Yama. */
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	/* No exit signal: the program's own waiting for children must not meet it. */
	pid = clone(help, stack + sizeof(stack), CLONE_VM | CLONE_VFORK, s);
	prctl(PR_SET_PTRACER, 0UL);
	if (pid < 0)
		s->why = "no process can be made that stops its threads";
	else
		syscall(SYS_wait4, pid, NULL, __WALL, NULL);
}

/**
 * stopothers_run() - do something while no other thread runs
 * @ranges:  code that is to be exchanged: no other thread is in the middle of any of it, nor will a signal handler return to
 *	     there
 * @count:   how many
 * @work:    what to do. System calls and memory alone: others may hold any lock. It may run in another process, which shares
 *	     the memory and nothing else
 * @arg:     its argument
 * @ret_why: on failure: a sentence
 *
 * One at a time. No signal handler runs on the calling thread meanwhile. A system call that another thread sleeps in may fail
 * with EINTR, as after SIGCONT (signal(7)). Where there is no other thread none is looked for. Not under a seccomp filter that
 * kills who calls ptrace(2), where there are: the caller has to know.
 *
 * Return: 0, or -EPERM where the others could not be stopped, within two seconds; @work was not called then.
 */
int stopothers_run(const struct code_range *ranges, size_t count, void (*work)(void *), void *arg, const char **ret_why)
{
	uint64_t every = ~UINT64_C(0), before;
	int saved = errno;
	struct stat st;

	stopping = (struct stopping){ .ranges = ranges, .count = count, .work = work, .arg = arg };
	stopping.tasks = real(open64)("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	stopping.maps = real(open64)("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	stopping.caller = (pid_t)syscall(SYS_gettid);
	stopping.until = now_ms() + LIMIT_MS;
	/* The system call itself: libc keeps two signals back from who asks for all. */
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &every, &before, sizeof(every));
	if (stopping.tasks < 0 || stopping.maps < 0 || fstat(stopping.tasks, &st))
		stopping.why = "its threads are not known: there is no /proc";
	else if (st.st_nlink == 3) /* ".", ".." and one thread */
		work(arg);
	else
		run_helper(&stopping);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof(before));
	if (stopping.tasks >= 0)
		real(close)(stopping.tasks);
	if (stopping.maps >= 0)
		real(close)(stopping.maps);
	errno = saved;
	if (!stopping.why)
		return 0;
	*ret_why = stopping.why;
	return -EPERM;
}
