/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* takeover.c - the guest comes from another process; see takeover.h. */
#include "takeover.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/guard.h"
#include "../shim/preserved.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "../state/shape.h"
#include "accept.h"
#include "carried.h"
#include "channel.h"
#include "child.h"
#include "clock.h"
#include "control.h"
#include "notify.h"
#include "original.h"
#include "pidfile.h"
#include "result.h"
#include "rollback.h"
#include "service.h"
#include "telnets.h"
#include "update.h"
#include "vm.h"

/* How long the other process may take to end: it lets go of the guest's memory. */
#define LEAVE_MS 30000

static int channel = -1;
/* QEMU's main thread may exit as soon as the guest runs, while the service thread is at work on what follows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool said, named;

/** takeover_is_one() - does the guest come from another process? */
bool takeover_is_one(void)
{
	return vm.cpr_state->transfer_count;
}

static struct preserved *find(const struct cpr_fd *rec)
{
	for (size_t i = 0; i < preserved_count(); i++)
		if (preserved_at(i)->number == rec->number && preserved_at(i)->kind == (enum fdkind)rec->kind)
			return preserved_at(i);
	return NULL;
}

/* What the old QEMU has half read and half written since. */
static void note_moved_on(const struct cprstate *state)
{
	for (uint32_t i = 0; i < state->fd_count; i++) {
		const struct cpr_fd *rec = &state->fd[i];
		struct preserved *p = find(rec);

		if (!p)
			continue;
		p->partial = rec->partial.data;
		p->partial_len = rec->partial.len;
		p->residue = rec->residue.data;
		p->residue_len = rec->residue.len;
	}
}

/* The second state's numbers are the other process's; this one has had its own since it began. */
static void use_own_numbers(struct cprstate *state, const struct cprstate *first)
{
	for (uint32_t i = 0; i < state->ram_count; i++)
		state->ram[i].fd = first->ram[i].fd;
	for (uint32_t i = 0; i < state->fd_count; i++)
		state->fd[i].fd = first->fd[i].fd;
	for (uint32_t i = 0; i < state->fdset_count; i++)
		state->fdset[i].fd = first->fdset[i].fd;
	for (uint32_t i = 0; i < state->fdname_count; i++)
		state->fdname[i].fd = first->fdname[i].fd;
	for (uint32_t i = 0; i < state->pin_count; i++)
		state->pin[i].fd = first->pin[i].fd;
	for (uint32_t i = 0; i < state->binary_count; i++)
		state->binary[i].fd = first->binary[i].fd;
	state->shim[0] = first->shim[0];
}

/* The process that the guest belongs to ends where the guest does not come back. */
static int hear(struct channel_message *ret, int ret_fds[CHANNEL_FDS], char error[QMP_ERROR_MAX])
{
	const struct cpr_transfer *way = &vm.cpr_state->transfer[0];
	int rc = channel_receive(channel, ret, ret_fds);

	if (way->how == CPR_TRANSFER_BACK && (rc || ret->gift == CHANNEL_LEAVE))
		original_end((pid_t)way->vm_pid, !rc);
	if (rc)
		snprintf(error, QMP_ERROR_MAX, "the guest did not come: %s", strerror(-rc));
	return rc;
}

/**
 * takeover_wait() - say that this QEMU is up, and wait until the guest is about to stop
 * @error: what went wrong
 *
 * As long as the other process likes.
 *
 * Return: 0 or a negative errno.
 */
int takeover_wait(char error[QMP_ERROR_MAX])
{
	const struct cprstate *first = vm.cpr_state;
	struct channel_message message;
	int fds[CHANNEL_FDS];

	if (guard_has_shown()) {
		snprintf(error, QMP_ERROR_MAX, "the new QEMU opens what the running one alone can have");
		return -EADDRINUSE;
	}
	channel = first->stream[0].fd;
	channel_say(channel, CHANNEL_UP);
	int rc = hear(&message, fds, error);
	if (rc)
		return rc;
	/* A client has come or gone since: once more, from the start. */
	if (message.gift == CHANNEL_BEGIN && first->transfer[0].how == CPR_TRANSFER_BACK) {
		static struct execution same;

		carried_keep(&same, first);
		rollback_release_output();
		original_become(&message, fds, &vm.binary, &same.occupy);
	}
	if (message.gift == CHANNEL_STOPS)
		return 0;
	snprintf(error, QMP_ERROR_MAX, "the guest did not come");
	return -EBADMSG;
}

/**
 * takeover_state() - wait for the guest's CPR state
 * @error: what went wrong
 *
 * The other process is stopping the guest. vm.cpr_state is the second state then.
 *
 * Return: 0 or a negative errno.
 */
int takeover_state(char error[QMP_ERROR_MAX])
{
	struct cprstate *first = vm.cpr_state, *state = NULL;
	const char *why = "no CPR state came";
	struct channel_message message;
	int fds[CHANNEL_FDS], rc = hear(&message, fds, error);

	if (rc)
		return rc;
	if (message.gift == CHANNEL_STATE && message.fds == 1)
		state = accept_given(fds[0], &why);
	const char *differs = state ? shape_differs(first, state) : why;
	if (!state || differs) {
		snprintf(error, QMP_ERROR_MAX, "the VM is not what it was any more: %s", differs);
		return -EINVAL;
	}
	real(close)(fds[0]);
	use_own_numbers(state, first);
	note_moved_on(state);
	rc = telnets_adopt(state);
	vm.cpr_state = state;
	guard_take_over();
	vm_mark(JOURNAL_TAKEN);
	return rc;
}

/**
 * takeover_stream() - wait for the devices' state
 * @error: what went wrong
 *
 * The other process has begun to save it. vm.cpr_state names it then.
 *
 * Return: 0 or a negative errno.
 */
int takeover_stream(char error[QMP_ERROR_MAX])
{
	struct channel_message message;
	int fds[CHANNEL_FDS], rc = hear(&message, fds, error);

	if (rc)
		return rc;
	vm_mark(JOURNAL_GIVEN);
	if (message.gift != CHANNEL_STREAM || message.fds != 1) {
		snprintf(error, QMP_ERROR_MAX, "no device state came");
		return -EBADMSG;
	}
	vm.cpr_state->stream[0] =
		(struct cpr_stream){ .fd = slots_move(fds[0]), .length = message.length, .crc = message.crc };
	return 0;
}

/** takeover_is_standin() - is the guest to go back? */
bool takeover_is_standin(void)
{
	return takeover_is_one() && vm.cpr_state->transfer[0].how == CPR_TRANSFER_STANDIN;
}

/**
 * takeover_is_sure() - wait until the other process has found that it stood still as it should when it gave the guest away
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * One that has ended has nothing that is better: the guest goes on here.
 *
 * Return: 0 or -ETIMEDOUT.
 */
int takeover_is_sure(uint64_t deadline_ns)
{
	return channel_hears(channel, CHANNEL_CHECKED, deadline_ns) || clock_now() < deadline_ns ? 0 : -ETIMEDOUT;
}

/** takeover_done() - the guest runs here: the other process leaves, or waits to get it back */
void takeover_done(void)
{
	pthread_mutex_lock(&lock);
	if (!said && !takeover_is_standin() && vm.cpr_state->transfer[0].how != CPR_TRANSFER_BACK)
		notify_moved();
	if (!said)
		channel_say(channel, CHANNEL_RUNS);
	if (!said && !takeover_is_standin())
		channel = slots_close(channel);
	said = true;
	pthread_mutex_unlock(&lock);
}

static pid_t other_process(void)
{
	return (pid_t)vm.cpr_state->transfer[0].vm_pid;
}

static int move_names(void)
{
	if (vm.cpr_state->transfer[0].how == CPR_TRANSFER_BACK)
		child_wait(other_process(), LEAVE_MS); /* it was this program's before */
	else
		control_move(other_process());
	return pidfile_take(qmp_in_ms(LEAVE_MS));
}

static int take_names(bool mine)
{
	pthread_mutex_lock(&lock);
	int rc = named || !mine ? 0 : move_names();
	named = true;
	pthread_mutex_unlock(&lock);
	return rc;
}

/**
 * takeover_settle() - what bears the VM's process id gets this one's
 * @warnings: what could not be done
 */
void takeover_settle(struct reasons *warnings)
{
	/* What another process has started was not looked at before. */
	if (!*vm.binary.version)
		service_learn_version();
	int rc = take_names(true);
	if (rc)
		reasons_note(warnings, "the pidfile could not be written: %s", strerror(-rc));
}

/** takeover_ended() - QEMU is about to exit: what bears the VM's process id is made this one's first, to be removed with it */
void takeover_ended(void)
{
	if (!vm.cpr_state || !takeover_is_one())
		return;
	takeover_done();
	/* A stand-in's is the process's that waits for it, and removes it. */
	take_names(!takeover_is_standin() || getppid() != other_process());
}

/**
 * takeover_give_back() - in a stand-in: give the guest back to the process that it came from
 * @result: how it came here
 *
 * Comes back only where it stays here: then this process is the VM, and @result says so.
 */
void takeover_give_back(json_t *result)
{
	struct reasons reasons = REASONS_INIT, warnings = REASONS_INIT;
	char *text = json_dumps(result, JSON_COMPACT);
	struct update_request request = { .original = channel,
					  .relayed = text,
					  .rehearse = REHEARSE_NOT,
					  .hold = vm.cpr_state->vm[0].hold,
					  .requester = vm.cpr_state->shim[0].requester_fd,
					  .timeout_s = vm.cpr_state->vm[0].timeout_s };

	vm_drop_journal();
	vm.gives_back = true;
	if (text)
		update_bring_back(&request, &reasons);
	vm.gives_back = false;
	original_dismiss(channel);
	channel = slots_close(channel);
	takeover_settle(&warnings);
	result_stays(result, &reasons, &warnings);
	reasons_free(&reasons);
	reasons_free(&warnings);
	free(text);
}
