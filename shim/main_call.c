/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main_call.c - run a function on QEMU's main thread; see main_call.h. */
#include "main_call.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* Under a directory that cannot exist, in case the hook is not there to catch it. */
static char name[64];
static _Atomic(main_call_fn) function;
static void *argument;
static bool done;

/**
 * main_call_prepare() - say what is to be called next
 * @fn:	    the function; must return quickly and not wait for the service thread
 * @opaque: passed to it
 *
 * One call at a time, by the service thread.
 *
 * Return: the file name to give to pmemsave, valid until the next call.
 */
const char *main_call_prepare(main_call_fn fn, void *opaque)
{
	uint64_t secret = 0;

	if (getrandom(&secret, sizeof(secret), 0) < 0)
		secret = (uintptr_t)opaque;
	argument = opaque;
	done = false;
	snprintf(name, sizeof(name), "/proc/cprshim/%016llx", (unsigned long long)secret);
	atomic_store(&function, fn);
	return name;
}

/** main_call_done() - has the function been called? */
bool main_call_done(void)
{
	return __atomic_load_n(&done, __ATOMIC_ACQUIRE);
}

/** main_call_cancel() - the function is not to be called any more, should QEMU come to it yet */
void main_call_cancel(void)
{
	atomic_store(&function, NULL);
}

/**
 * main_call_intercept() - for the hook of fopen()
 * @path: name that QEMU opens
 *
 * Return: true if it was ours; errno is then ENOENT.
 */
bool main_call_intercept(const char *path)
{
	if (!atomic_load(&function) || strcmp(path, name))
		return false;
	main_call_fn fn = atomic_exchange(&function, NULL);

	errno = ENOENT;
	if (!fn)
		return true;
	fn(argument);
	__atomic_store_n(&done, true, __ATOMIC_RELEASE);
	errno = ENOENT;
	return true;
}
