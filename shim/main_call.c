/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main_call.c - run a function on QEMU's main thread; see main_call.h. */
#include "main_call.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "real.h"

static _Atomic(main_call_fn *) function;
static void *argument;
static sem_t done;
/* A call that was given up has begun, and has not returned: the main thread hangs, or takes its time. */
static bool late;

/* QEMU's (include/block/aio.h), the same since 6.0. */
static void *(*context)(void);
static void (*schedule)(void *ctx, main_call_fn *cb, void *opaque, const char *name);

static void run(void)
{
	main_call_fn *fn = atomic_exchange(&function, NULL);

	if (!fn)
		return;
	fn(argument);
	sem_post(&done);
}

static void run_bottom_half(void *opaque)
{
	(void)opaque;
	run();
}

/**
 * main_call_is_direct() - does main_call_begin() need no help of a monitor? By the service thread.
 *
 * It uses the context of what comes in from outside: the loops in which QEMU waits for a disk do not serve it. QMP's
 * commands are carried out there too (qapi/qmp-dispatch.c).
 */
bool main_call_is_direct(void)
{
	static bool looked;

	if (!looked) {
		sem_init(&done, 0, 0);
		context = (void *(*)(void))real_symbol("iohandler_get_aio_context");
		schedule = (void (*)(void *, main_call_fn *, void *, const char *))real_symbol(
			"aio_bh_schedule_oneshot_full");
	}
	looked = true;
	return context && schedule;
}

static int wait_until(uint64_t deadline_ns)
{
	struct timespec until = { .tv_sec = (time_t)(deadline_ns / 1000000000),
				  .tv_nsec = (long)(deadline_ns % 1000000000) };

	while (sem_clockwait(&done, CLOCK_MONOTONIC, &until))
		if (errno != EINTR)
			return -errno;
	return 0;
}

/**
 * main_call_begin() - have a function called
 * @fn:	    the function; must return quickly and not wait for the service thread
 * @opaque: passed to it; static, as it may yet be used after main_call_end() has given up
 *
 * One call at a time, by the service thread.
 *
 * Return: false where pmemsave must be given main_call_name() for that.
 */
bool main_call_begin(main_call_fn *fn, void *opaque)
{
	bool posted = main_call_is_direct();

	late = late && sem_trywait(&done);
	if (late)
		return true;
	argument = opaque;
	atomic_store(&function, fn);
	if (posted)
		schedule(context(), run_bottom_half, NULL, "cprshim");
	return posted;
}

/**
 * main_call_end() - wait until it has been called
 * @deadline_ns: CLOCK_MONOTONIC; after it the function is not begun any more
 *
 * Return: 0, or -EIO where it was not called, or has not returned.
 */
int main_call_end(uint64_t deadline_ns)
{
	if (late)
		return -EIO;
	if (!wait_until(deadline_ns))
		return 0;
	late = !atomic_exchange(&function, NULL);
	return -EIO;
}

/** main_call_name() - the file name that only we know, constant; by the service thread */
const char *main_call_name(void)
{
	/* Under a directory that cannot exist, in case the hook is not there to catch it. */
	static char name[64];
	uint64_t secret = 0;

	if (name[0])
		return name;
	if (getrandom(&secret, sizeof(secret), 0) < 0)
		secret = (uintptr_t)&secret;
	snprintf(name, sizeof(name), "/proc/cprshim/%016llx", (unsigned long long)secret);
	return name;
}

/**
 * main_call_intercept() - for the hook of fopen()
 * @path: name that QEMU opens
 *
 * Return: true if it was ours; errno is then ENOENT.
 */
bool main_call_intercept(const char *path)
{
	if (!atomic_load(&function) || strcmp(path, main_call_name()))
		return false;
	run();
	errno = ENOENT;
	return true;
}
