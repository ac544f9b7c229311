/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ending.c - no command reaches a QEMU that has begun to exit; see ending.h. */
#include "ending.h"

#include <linux/sockios.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "../shim/real.h"
#include "clock.h"

/* A monitor that is suspended does not read on, and a client may never cease to send; QEMU exits all the same. */
#define READ_MS 100
#define LOOK_US 50

/* struct Notifier (include/qemu/notify.h), the same since 0.13 */
struct notifier {
	void (*notify)(struct notifier *notifier, void *data);
	struct notifier *next, **previous;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int monitor = -1;

/* QEMU's (include/block/aio.h), the same since 6.0 */
static void *(*commands)(void); /* the context in which they are carried out */
static bool (*serve)(void *context, bool wait);

/*
 * On the main thread, after the event. What was sent before is read and carried out, whoever sent it, and what is sent from
 * now on knows of the event.
 */
static void on_shutdown(struct notifier *notifier, void *data)
{
	uint64_t until = clock_now() + (uint64_t)READ_MS * 1000000;
	struct timespec ts = { .tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000) };
	int unread = 0;

	(void)notifier, (void)data;
	if (pthread_mutex_clocklock(&lock, CLOCK_MONOTONIC, &ts))
		return;
	while (!real(ioctl)(monitor, SIOCOUTQ, &unread) && unread && clock_now() < until)
		usleep(LOOK_US);
	while (commands && serve && serve(commands(), false) && clock_now() < until)
		;
	pthread_mutex_unlock(&lock);
}

/**
 * ending_watch() - be told when QEMU begins to exit; on the main thread, before its main loop runs
 * @socket: our end of the private monitor
 *
 * A QEMU that does not export its notifiers goes without.
 */
void ending_watch(int socket)
{
	static struct notifier ours = { .notify = on_shutdown };
	void (*add)(struct notifier *) = (void (*)(struct notifier *))real_symbol("qemu_register_shutdown_notifier");

	commands = (void *(*)(void))real_symbol("iohandler_get_aio_context");
	serve = (bool (*)(void *, bool))real_symbol("aio_poll");
	if (add && monitor < 0)
		add(&ours);
	monitor = socket;
}

/**
 * ending_hold() - a command is about to be sent to the private monitor: QEMU does not exit before it is read
 *
 * After this, what QEMU has said must be looked at for SHUTDOWN, and nothing sent after it. By the service thread.
 */
void ending_hold(void)
{
	pthread_mutex_lock(&lock);
}

/** ending_release() - it has been sent, and a byte after it: QEMU has taken the command when that is read */
void ending_release(void)
{
	pthread_mutex_unlock(&lock);
}
