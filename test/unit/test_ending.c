/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_ending.c - QEMU begins to exit when what was sent to its monitor has been read and carried out, and nothing else is
 * sent by then.
 */
#include "../../loader/ending.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../shim/real.h"
#include "tap.h"

struct notifier {
	void (*notify)(struct notifier *notifier, void *data);
};

bool real_resolved = true;
struct real_calls real_calls;

void real_resolve(void)
{
}

static struct notifier *registered;

static void take(struct notifier *notifier)
{
	registered = notifier;
}

static int monitor[2];
static atomic_int unread;

/* A command takes QEMU several rounds, the first of which begins when it has been read. */
static int rounds, served, served_unread;
static char context;

static void *get_context(void)
{
	return &context;
}

static bool serve(void *ctx, bool wait)
{
	served_unread += unread > 1;
	served += ctx == &context && !wait;
	return rounds < 0 || (rounds && rounds--);
}

void *real_symbol(const char *name)
{
	if (!strcmp(name, "iohandler_get_aio_context"))
		return (void *)get_context;
	if (!strcmp(name, "aio_poll"))
		return (void *)serve;
	return strcmp(name, "qemu_register_shutdown_notifier") ? NULL : (void *)take;
}

/* As QEMU's monitors' thread reads */
static void *read_all(void *opaque)
{
	char byte;

	(void)opaque;
	while (unread) {
		usleep(5000);
		unread -= (int)read(monitor[1], &byte, 1);
	}
	return NULL;
}

static void test_read(void)
{
	pthread_t reader;

	unread = (int)write(monitor[0], "{}\n", 3);
	pthread_create(&reader, NULL, read_all, NULL);
	registered->notify(registered, NULL);
	/* The last byte has left the socket; the reader may not have counted it yet. */
	ok(unread <= 1, "QEMU goes on when all has been read");
	pthread_join(reader, NULL);
}

static void test_carried_out(void)
{
	rounds = 3;
	served = 0;
	registered->notify(registered, NULL);
	ok(!rounds && served == 4, "QEMU goes on when all has been carried out");
	ok(!served_unread, "and read before");
}

static void test_endless(void)
{
	rounds = -1;
	registered->notify(registered, NULL);
	ok(true, "a client that never ceases to send does not keep QEMU from its end");
	rounds = 0;
}

static atomic_bool sent;

static void *send_late(void *opaque)
{
	ending_hold();
	*(atomic_bool *)opaque = true;
	usleep(20000);
	sent = true;
	ending_release();
	return NULL;
}

static void test_held(void)
{
	static atomic_bool held;
	pthread_t sender;

	pthread_create(&sender, NULL, send_late, &held);
	while (!held)
		usleep(100);
	registered->notify(registered, NULL);
	ok(sent, "QEMU goes on when what was being sent has been");
	pthread_join(sender, NULL);
}

static void test_suspended(void)
{
	ok(write(monitor[0], "x", 1) == 1, "a monitor that is not read");
	registered->notify(registered, NULL);
	ok(true, "does not keep QEMU from its end");
}

int main(void)
{
	real_calls.ioctl = ioctl;
	ok(!socketpair(AF_UNIX, SOCK_STREAM, 0, monitor), "a monitor");
	ending_watch(monitor[0]);
	ok(registered != NULL, "QEMU's notifier");
	if (registered) {
		test_read();
		test_carried_out();
		test_endless();
		test_held();
		test_suspended();
	}
	return tap_done();
}
