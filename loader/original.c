/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* original.c - the process that the guest belongs to; see original.h. */
#include "original.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "child.h"
#include "control.h"
#include "notify.h"
#include "pidfile.h"
#include "program.h"

enum { LIBRARY, STATE, PARCEL };

/* How long the stand-in may take from its last word to its end. */
#define ENDING_MS 30000

/**
 * original_become() - become the new QEMU, and a successor that takes the guest
 * @message: what it was given, CHANNEL_BEGIN
 * @fds:     with that
 * @target:  the new QEMU
 * @occupy:  numbers that it will give to what it is handed over: what is there stays, unless a command is between, so that
 *	     no library's constructor gets them
 *
 * All else that this process has open ends with the exec. Does not return.
 */
void original_become(const struct channel_message *message, const int fds[CHANNEL_FDS], const struct vm_binary *target,
		     const struct fdlist *occupy)
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
	for (size_t i = 0; i < occupy->count && binary.start.how != START_COMMAND; i++) {
		execute_keep(&e, occupy->fd[i]);
		execute_carry(&e, occupy->fd[i]);
	}
	vm.library_fd = message->number[LIBRARY]; /* from where the new program gets it */
	snprintf(variable, sizeof(variable), "CPRSHIM_STATE=%d", message->number[STATE]);
	if (!program_make(&e.program, &binary, variable))
		log_error("the new QEMU could not be started in this process: %s", strerror(-execute(&e)));
	real(_exit)(1);
}

/**
 * original_end() - the guest does not come back: this process ends
 * @standin: which has it, or had it
 * @stays:   it goes on there, with what bore this process's id; else the VM has ended there, as it would have here
 */
void original_end(pid_t standin, bool stays)
{
	int status = 0, rc = stays ? 0 : child_watch(standin, ENDING_MS, &status);

	if (rc == -ETIMEDOUT)
		log_error("process %d, which had the guest, does not end", (int)standin);
	else if (WIFSIGNALED(status))
		log_error("process %d, which had the guest, was ended by signal %d", (int)standin, WTERMSIG(status));
	control_remove();
	pidfile_remove();
	real(_exit)(rc ? 1 : 0);
}

/**
 * original_wait() - wait until the stand-in wants to give the guest back, and become the new QEMU that takes it
 * @channel: to the stand-in
 * @standin: its process
 * @h:	     what the guest went there with
 *
 * Does not return.
 */
void original_wait(int channel, pid_t standin, const struct handover *h)
{
	struct channel_message message = { .gift = 0 };
	int fds[CHANNEL_FDS];

	log_info("the guest is with process %d, until this one is the new QEMU", (int)standin);
	if (!channel_receive(channel, &message, fds) && message.gift == CHANNEL_BEGIN && message.fds == CHANNEL_FDS)
		original_become(&message, fds, &h->target, &h->exec.occupy);
	original_end(standin, message.gift == CHANNEL_LEAVE);
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

/** original_dismiss() - in the stand-in: the guest stays here, and the process that it belonged to is to end */
void original_dismiss(int channel)
{
	struct channel_message message = { .gift = CHANNEL_LEAVE };

	if (channel < 0)
		return;
	notify_moved();
	channel_give(channel, &message, NULL);
}
