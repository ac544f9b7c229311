/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* original.c - the process that the guest belongs to; see original.h. */
#include "original.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "control.h"
#include "pidfile.h"
#include "program.h"

enum { LIBRARY, STATE, PARCEL };

static volatile pid_t runs_guest;

static void forward(int signal)
{
	int saved = errno;

	kill(runs_guest, signal);
	errno = saved;
}

/* Who wants the VM to end tells this process, and this QEMU has no guest to shut down. */
static void forward_signals(pid_t standin)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction act = { .sa_handler = forward, .sa_flags = SA_RESTART };

	runs_guest = standin;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &act, NULL);
}

/**
 * original_become() - become the new QEMU, and a successor that takes the guest
 * @message: what it was given, CHANNEL_BEGIN
 * @fds:     with that
 * @target:  the new QEMU
 *
 * All else that this process has open ends with the exec. Does not return.
 */
void original_become(const struct channel_message *message, const int fds[CHANNEL_FDS], const struct vm_binary *target)
{
	static struct execution e = { .holder_pipe = -1, .holder_wait = -1, .guardian = GUARDIAN_NONE };
	static char variable[32];
	struct vm_binary binary = *target;

	/* Its number may be one that is given. */
	if (binary.fd >= 0)
		binary.fd = real(fcntl)(binary.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	for (int i = 0; i < CHANNEL_FDS; i++) {
		e.place[e.place_count++] = (struct placed){ .fd = fds[i], .number = message->number[i] };
		execute_keep(&e, message->number[i]);
		execute_carry(&e, message->number[i]);
	}
	vm.library_fd = message->number[LIBRARY]; /* from where the new program gets it */
	snprintf(variable, sizeof(variable), "CPRSHIM_STATE=%d", message->number[STATE]);
	if (!program_make(&e.program, &binary, variable))
		log_error("the new QEMU could not be started in this process: %s", strerror(-execute(&e)));
	real(_exit)(1);
}

/**
 * original_wait() - wait until the stand-in wants to give the guest back, and become the new QEMU that takes it
 * @channel: to the stand-in
 * @standin: its process
 * @target:  the new QEMU
 *
 * Does not return.
 */
void original_wait(int channel, pid_t standin, const struct vm_binary *target)
{
	struct channel_message message;
	int fds[CHANNEL_FDS];

	forward_signals(standin);
	log_info("the guest is with process %d, until this one is the new QEMU", (int)standin);
	if (!channel_receive(channel, &message, fds) && message.gift == CHANNEL_BEGIN && message.fds == CHANNEL_FDS)
		original_become(&message, fds, target);
	/* It keeps the guest, and has what bore this process's id; or the VM has ended there. */
	control_remove();
	pidfile_forget();
	real(_exit)(0);
}

/**
 * original_call() - in the stand-in: have the process that the guest belongs to become its successor
 * @channel: to it
 * @h:	     what that begins with, with a parcel
 *
 * Return: 0 or a negative errno.
 */
int original_call(int channel, const struct handover *h)
{
	const int fds[CHANNEL_FDS] = { [LIBRARY] = vm.library_fd, [STATE] = h->state_fd, [PARCEL] = h->parcel };
	struct channel_message message = { .gift = CHANNEL_BEGIN, .fds = CHANNEL_FDS };

	for (int i = 0; i < CHANNEL_FDS; i++)
		message.number[i] = fds[i];
	return channel_give(channel, &message, fds);
}
