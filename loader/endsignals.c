/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* endsignals.c - the signals that end a VM, while the guest moves; see endsignals.h. */
#include "endsignals.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct held {
	int signal;
	struct sigaction before;
	siginfo_t info;
	atomic_bool came;
} all[] = { { .signal = SIGTERM }, { .signal = SIGINT }, { .signal = SIGHUP } };

static atomic_int goes_to; /* 0: held; our own id: QEMU's */

/*
 * What has come goes where it belongs by now. Called by the handler when it has noted one and by whoever has just decided
 * where they go: one of them sees both.
 */
static void settle(struct held *h)
{
	pid_t to = atomic_load(&goes_to);

	if (!to || !atomic_exchange(&h->came, false))
		return;
	if (to == getpid())
		syscall(SYS_rt_sigqueueinfo, to, h->signal, &h->info); /* QEMU says who sent it */
	else
		kill(to, h->signal);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	for (size_t i = 0; i < COUNT(all); i++)
		if (all[i].signal == signal) {
			all[i].info = *info;
			atomic_store(&all[i].came, true);
			settle(&all[i]);
		}
	errno = saved;
}

static void settle_all(pid_t to)
{
	atomic_store(&goes_to, to);
	for (size_t i = 0; i < COUNT(all); i++)
		settle(&all[i]);
}

/**
 * endsignals_hold() - from here on they wait
 *
 * One that QEMU's handler has just taken ends the main loop: the next commands are not answered then.
 */
void endsignals_hold(void)
{
	struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_RESTART | SA_SIGINFO };

	atomic_store(&goes_to, 0);
	for (size_t i = 0; i < COUNT(all); i++) {
		sigaction(all[i].signal, NULL, &all[i].before);
		if (all[i].before.sa_handler != SIG_IGN)
			sigaction(all[i].signal, &act, NULL);
	}
}

/** endsignals_release() - the guest stays here: they are QEMU's again, and it gets what came meanwhile */
void endsignals_release(void)
{
	for (size_t i = 0; i < COUNT(all); i++)
		sigaction(all[i].signal, &all[i].before, NULL);
	settle_all(getpid());
}

/**
 * endsignals_pass() - after endsignals_hold(): from here on they are another process's
 * @to: which has the guest; negative where it has no id here (another PID namespace): nobody can be told then
 */
void endsignals_pass(pid_t to)
{
	if (to > 0)
		settle_all(to);
}
