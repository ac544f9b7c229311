/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_stopothers.c - code is exchanged under threads that spend their time in it, and under signal handlers that return to
 * it. A thread that is in the middle of it then runs into a trap.
 */
#include "../../shim/stopothers.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tap.h"

#define THREADS	  4
#define EXCHANGES 30
#define NOPS	  16
#define RET	  0xc3
#define TRAP	  0xcc

/*
 * One function at a time is whole: in turn its first half is there, or a jump to the second half, which traps lie before. So
 * whoever stands in the middle of the first when it goes meets one.
 */
static uint8_t *code;
static struct code_range range;
static pthread_t threads[THREADS];
static atomic_ulong rounds[THREADS], signals;
static atomic_bool stop;
static unsigned int done;
static bool forward = true;

static void exchange(void *unused)
{
	(void)unused;
	if (forward) {
		memset(code, TRAP, NOPS);
		code[0] = 0xeb; /* jmp */
		code[1] = NOPS - 2;
	} else {
		memset(code, 0x90, NOPS); /* nop */
	}
	forward = !forward;
	done++;
}

static void make_code(void)
{
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(code, 0x90, NOPS);
	code[NOPS] = RET;
	range = (struct code_range){ (uintptr_t)code, (uintptr_t)code + NOPS };
}

static void *run(void *round)
{
	void (*function)(void);

	memcpy(&function, &code, sizeof(function));
	while (!atomic_load(&stop)) {
		for (int i = 0; i < 100; i++) {
			function();
			/* elsewhere for some time, so that each is found there soon */
			for (volatile int pause = 0; pause < 20; pause++)
				;
		}
		atomic_fetch_add((atomic_ulong *)round, 1);
	}
	return NULL;
}

/* Long enough that threads are mostly found in it, with what was interrupted on their stacks. */
static void handle(int signal)
{
	struct timespec from, now;

	(void)signal;
	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - from.tv_sec) * 1000000000L + now.tv_nsec - from.tv_nsec < 50000);
	atomic_fetch_add(&signals, 1);
}

static void start(void)
{
	make_code();
	atomic_store(&stop, false);
	forward = true;
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, run, &rounds[i]);
}

static void end(void)
{
	atomic_store(&stop, true);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	munmap(code, 4096);
}

/* Each thread goes on after each exchange. Return: how many exchanges failed. */
static unsigned int exchange_often(bool with_signals)
{
	unsigned int failed = 0;
	const char *why = "";

	for (unsigned int n = 0; n < EXCHANGES; n++) {
		unsigned long before[THREADS];

		for (size_t i = 0; with_signals && i < THREADS; i++)
			pthread_kill(threads[i], SIGUSR1);
		if (stopothers_run(&range, 1, exchange, NULL, &why)) {
			tap_diag("%s", why);
			failed++;
		}
		for (size_t i = 0; i < THREADS; i++)
			before[i] = atomic_load(&rounds[i]);
		for (size_t i = 0; i < THREADS; i++)
			while (atomic_load(&rounds[i]) == before[i])
				sched_yield();
	}
	return failed;
}

static void *wait_for_end(void *unused)
{
	while (!atomic_load(&stop))
		sched_yield();
	return unused;
}

static void *wait_for_turn(void *unused)
{
	sched_yield();
	return unused;
}

static void nothing(void *unused)
{
	(void)unused;
}

/* Behind a thread's stack there may be guest RAM: reading a hole of a memfd would fill it. */
static void beside_a_hole(void)
{
	const size_t size = 1 << 20;
	int fd = memfd_create("hole", MFD_CLOEXEC), rc;
	char *at = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const char *why = NULL;
	pthread_attr_t attr;
	pthread_t thread;
	struct stat st = { .st_blocks = -1 };

	rc = ftruncate(fd, (off_t)size);
	void *hole = mmap(at + size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	rc |= hole == MAP_FAILED;
	pthread_attr_init(&attr);
	rc |= pthread_attr_setstack(&attr, at, size);
	atomic_store(&stop, false);
	pthread_create(&thread, &attr, wait_for_end, NULL);
	pthread_attr_destroy(&attr);
	rc |= stopothers_run(NULL, 0, nothing, NULL, &why);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	fstat(fd, &st);
	ok(!rc && !st.st_blocks, "what lies behind a stack is not read: %ld blocks", (long)st.st_blocks);
	munmap(hole, size);
	munmap(at, size);
	close(fd);
}

static void *begin_and_end(void *unused)
{
	pthread_t thread;

	while (!atomic_load(&stop))
		if (!pthread_create(&thread, NULL, wait_for_turn, NULL))
			pthread_join(thread, NULL);
	return unused;
}

/* A thread that has just ended is listed still, and not traceable. Return: how many times others could not be stopped. */
static unsigned int while_threads_end(unsigned int times)
{
	unsigned int failed = 0;
	const char *why = "";
	pthread_t thread;

	atomic_store(&stop, false);
	pthread_create(&thread, NULL, begin_and_end, NULL);
	for (unsigned int n = 0; n < times; n++) {
		if (stopothers_run(NULL, 0, nothing, NULL, &why)) {
			tap_diag("%s", why);
			failed++;
		}
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	return failed;
}

static uint64_t blocked(void)
{
	uint64_t mask = 0;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &mask, sizeof(mask));
	return mask;
}

static void note_mask(void *mask)
{
	*(uint64_t *)mask = blocked();
}

int main(void)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };
	uint64_t before = blocked(), during = 0;
	const char *why = NULL;

	ok(!stopothers_run(NULL, 0, note_mask, &during, &why), "without other threads");
	/* SIGKILL and SIGSTOP are never blocked. */
	ok(!~(during | UINT64_C(1) << (SIGKILL - 1) | UINT64_C(1) << (SIGSTOP - 1)),
	   "all signals are blocked meanwhile");
	ok(blocked() == before, "and afterwards as before");

	start();
	ok(exchange_often(false) == 0 && done == EXCHANGES, "exchanged while %d threads stand in it", THREADS);
	end();

	done = 0;
	sigaction(SIGUSR1, &action, NULL);
	start();
	ok(exchange_often(true) == 0 && done == EXCHANGES, "exchanged while signal handlers will return to it");
	end();
	ok(while_threads_end(2000) == 0, "while threads begin and end");
	ok(atomic_load(&signals) > EXCHANGES, "%lu signals", atomic_load(&signals));
	beside_a_hole();
	return tap_done();
}
