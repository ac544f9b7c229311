/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* transfer.c - the guest goes to another process; see transfer.h. What that does is in takeover.c. */
#include "transfer.h"

#include <errno.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/moved.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "../state/shape.h"
#include "beside.h"
#include "channel.h"
#include "child.h"
#include "endsignals.h"
#include "fault.h"
#include "ondisk.h"
#include "original.h"
#include "qmp.h"
#include "receiver.h"

#define PREPARE_MS 10000
/* How much longer than its own deadline the successor may take to give up by itself, and to say why. */
#define GRACE_MS 1000
/* After the commit the guest may run there any moment: whether it does is worth waiting for. */
#define COMMITTED_MS 30000

/**
 * transfer_possible() - can this VM go to another process?
 * @plan, @h: what would be handed over
 * @ret_why:  if not: what stands against it, half a sentence
 * @size:     of @ret_why
 */
bool transfer_possible(const struct plan *plan, const struct handover *h, char *ret_why, size_t size)
{
	if (!beside_possible(plan, false, ret_why, size))
		return false;
	for (size_t i = 0; i < plan->count; i++)
		if (plan->fds[i].it.kind == FDKIND_VHOST) {
			snprintf(ret_why, size, "descriptor %d (vhost) has one owner", plan->fds[i].it.fd);
			return false;
		}
	for (size_t i = 0; i < plan->count && h->how == CPR_TRANSFER_STANDIN; i++)
		if (plan->fds[i].it.kind == FDKIND_CONNECTION && plan->fds[i].action == PLAN_CLOSE) {
			snprintf(ret_why, size, "descriptor %d is a disk on a server, and would be its third client",
				 plan->fds[i].it.fd);
			return false;
		}
	for (size_t i = 0; i < h->block_count; i++)
		if (h->blocks[i].copied) {
			snprintf(ret_why, size, "RAM block %s is the process's own", h->blocks[i].name);
			return false;
		}
	if (h->how == CPR_TRANSFER_STANDIN && vm_process_status("VmLck", 10)) {
		snprintf(ret_why, size, "its memory is locked, and each of the processes would lock its own");
		return false;
	}
	if (plan->stdio && isatty(STDIN_FILENO)) {
		snprintf(ret_why, size, "its terminal goes back to the shell when this process ends");
		return false;
	}
	if (getpid() == 1) {
		snprintf(ret_why, size, "this process is its PID namespace's init");
		return false;
	}
	return true;
}

static void tell(struct reasons *reasons, const char *otherwise)
{
	/* A signal or a deadline of ours that it did not come to tell of. */
	if (vm.journal->reason[0])
		reasons_add(reasons, BLOCKER_SUCCESSOR_FAILED, "%s", vm.journal->reason);
	else
		reasons_add(reasons, BLOCKER_SUCCESSOR_FAILED, "%s", otherwise);
}

static int start_process(struct transfer *t)
{
	switch (t->first->how) {
	case CPR_TRANSFER_RECEIVED:
		return receiver_start(t->first->to, &t->first->exec, &t->pid);
	case CPR_TRANSFER_BACK:
		/* Else it has died, and this is somebody else's child by now. */
		t->pid = getppid() == (pid_t)vm.cpr_state->transfer[0].vm_pid ? getppid() : -1;
		return t->pid < 0 ? -ESRCH : original_call(t->first->original, t->first);
	default:
		return beside_spawn(t->first, -1, &t->pid);
	}
}

static int start(struct transfer *t)
{
	int rc = start_process(t);

	if (rc)
		return rc;
	/* The channel's other end is in it, and must end with that process. */
	t->first->parcel = slots_close(t->first->parcel);
	t->child = t->first->how == CPR_TRANSFER_SPAWNED || t->first->how == CPR_TRANSFER_STANDIN;
	t->pidfd = t->pid > 0 ? slots_move((int)syscall(SYS_pidfd_open, t->pid, 0)) : -1;
	return 0;
}

/*
 * Wherever it is, it must not have the guest's devices any more when that goes on here. What is given up cannot commit, so
 * that one which cannot be killed (it is another user's, or in another namespace) does no worse than read a packet.
 */
static void end_process(struct transfer *t)
{
	struct pollfd end = { .fd = t->pidfd, .events = POLLIN };

	if (t->pidfd >= 0 && !syscall(SYS_pidfd_send_signal, t->pidfd, SIGKILL, NULL, 0))
		poll(&end, 1, COMMITTED_MS);
	if (t->child && t->pid > 0)
		child_wait(t->pid, 0);
	t->pidfd = slots_close(t->pidfd);
	t->pid = -1;
}

/**
 * transfer_begin() - bring the successor up, to where it waits for the guest
 * @t:	     zeroed
 * @of:	     what is handed over, as far as it is known while the guest runs
 * @f:	     what is held already
 * @plan:    what becomes of the descriptors
 * @reasons: why it did not come up
 *
 * On the service thread, with a journal. Takes as long as the new QEMU takes to start. transfer_end() ends it in any case.
 *
 * Return: 0, -EBADF where a descriptor is no longer what the plan says, or another negative errno.
 */
int transfer_begin(struct transfer *t, const struct handover *of, const struct freeze *f, const struct plan *plan,
		   struct reasons *reasons)
{
	struct reasons unsaid = REASONS_INIT;
	int channel[2] = { -1, -1 };

	t->channel = t->pid = t->pidfd = -1;
	t->first = calloc(1, sizeof(*t->first));
	int rc = t->first ? 0 : -ENOMEM;
	if (!rc) {
		handover_begin_like(t->first, of);
		t->first->kind = HANDOVER_TRANSFER;
		rc = channel_make(channel);
	}
	if (!rc) {
		t->channel = channel[0];
		t->first->channel = channel[1];
		rc = ondisk_hold(plan, &unsaid);
	}
	if (!rc)
		rc = handover_write_beside(t->first, f, plan, qmp_in_ms(PREPARE_MS));
	if (!rc)
		rc = start(t);
	/* No longer than is needed: what the running QEMU opens now is what it asks for. */
	moved_release();
	reasons_free(&unsaid);
	slots_close(channel[1]);
	if (rc == -EBADF)
		return rc;
	if (rc)
		reasons_add(reasons, BLOCKER_STATE_WRITE, "the new QEMU could not be started: %s", strerror(-rc));
	if (!rc && !channel_hears(t->channel, CHANNEL_UP, qmp_in_ms(of->timeout_s * 1000 + GRACE_MS))) {
		tell(reasons, "the new QEMU did not come up, or not in time");
		rc = -EIO;
	}
	return rc;
}

/* Do two numbers of this process lead to the same open file? */
static bool is_same_file(int a, int b)
{
	struct stat x, y;
	pid_t pid = getpid();
	long rc = a == b ? 0 : syscall(SYS_kcmp, pid, pid, KCMP_FILE, a, b);

	if (rc < 0) /* no kcmp(2) here */
		return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
	return !rc;
}

/* The descriptors are the same open files. */
static bool has_same_files(const struct cprstate *a, const struct cprstate *b)
{
	for (uint32_t i = 0; i < a->ram_count; i++)
		if (!is_same_file(a->ram[i].fd, b->ram[i].fd))
			return false;
	for (uint32_t i = 0; i < a->fd_count; i++)
		if (!is_same_file(a->fd[i].fd, b->fd[i].fd))
			return false;
	for (uint32_t i = 0; i < a->fdset_count; i++)
		if (!is_same_file(a->fdset[i].fd, b->fdset[i].fd))
			return false;
	for (uint32_t i = 0; i < a->fdname_count; i++)
		if (!is_same_file(a->fdname[i].fd, b->fdname[i].fd))
			return false;
	return true;
}

static const char *compare(const struct handover *a, const struct handover *b)
{
	struct cprstate *x = malloc(sizeof(*x)), *y = malloc(sizeof(*y));
	const char *why = "it cannot be told";

	if (x && y && !cprstate_decode(x, a->w.buf, a->w.len, &why) && !cprstate_decode(y, b->w.buf, b->w.len, &why)) {
		why = shape_differs(x, y);
		if (!why && !has_same_files(x, y))
			why = "its connections";
	}
	free(x);
	free(y);
	return why;
}

/**
 * transfer_check() - is the VM still what the successor was brought up for?
 * @t:	     after transfer_begin()
 * @f:	     after freeze_inputs(): nobody else can change it any more
 * @of:	     what is to be handed over
 * @plan:    a plan made since
 * @ret_why: if not: what has changed, constant
 *
 * The guest still runs.
 *
 * Return: 0, -EAGAIN where it has changed, or another negative errno.
 */
int transfer_check(const struct transfer *t, const struct freeze *f, const struct handover *of, const struct plan *plan,
		   const char **ret_why)
{
	struct handover *now = calloc(1, sizeof(*now));

	*ret_why = NULL;
	if (!now)
		return -ENOMEM;
	handover_begin_like(now, of);
	now->kind = HANDOVER_TRANSFER;
	now->channel = t->channel;
	int rc = handover_write_beside(now, f, plan, qmp_in_ms(PREPARE_MS));
	if (!rc)
		*ret_why = compare(t->first, now);
	handover_release(now);
	free(now);
	return rc ? rc : *ret_why ? -EAGAIN : 0;
}

/**
 * transfer_foretell() - tell the successor that the guest is about to stop
 * @t: after transfer_check()
 *
 * It maps the guest's RAM meanwhile. Should it not hear of it, it has ended, as transfer_give() finds.
 */
void transfer_foretell(const struct transfer *t)
{
	struct channel_message message = { .gift = CHANNEL_STOPS };

	channel_give(t->channel, &message, NULL);
}

/* One of us has the guest from here on: false where it is the successor. */
static bool is_ours_again(void)
{
	uint32_t none = JOURNAL_OPEN;

	return __atomic_compare_exchange_n(&vm.journal->committed, &none, JOURNAL_GIVEN_UP, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

/*
 * No sockets or files are removed and no script is run, as QEMU would do: they are the other process's. What QEMU has
 * printed is in its buffers no more, since the guest stands still.
 */
static void leave(const struct transfer *t, const struct handover *h)
{
	endsignals_pass(t->pid);
	if (h->how == CPR_TRANSFER_STANDIN)
		original_wait(t->channel, t->pid, h);
	log_info("the guest goes on as process %d", (int)t->pid);
	real(_exit)(0);
}

/* While the devices save theirs; the successor makes ready for them meanwhile. */
static int give_state(const struct transfer *t, struct freeze *f, const struct plan *plan, struct handover *h,
		      uint64_t deadline_ns, struct reasons *reasons)
{
	int rc = halt_save_begin(&f->halt, deadline_ns, reasons);

	if (rc)
		return rc;
	rc = freeze_collect(f, reasons);
	if (!rc)
		rc = handover_write(h, f, plan, reasons);
	if (!rc) {
		rc = channel_give_state(t->channel, h->state_fd);
		if (rc)
			tell(reasons, "the new QEMU has ended");
	}
	/* Whatever has become of it: QEMU is at it. */
	int end = halt_save_end(&f->halt, deadline_ns, reasons);
	return rc ? rc : end;
}

static int give_stream(const struct transfer *t, struct freeze *f, struct handover *h, struct reasons *reasons)
{
	int rc = freeze_collect_late(f, reasons);

	if (rc)
		return rc;
	rc = handover_stream(h, f->halt.state_fd, &h->stream);
	vm_mark(JOURNAL_WRITTEN);
	if (!rc)
		rc = fault_at("give") ? -EIO : channel_give_stream(t->channel, &h->stream);
	if (rc)
		tell(reasons, "the devices' state could not be handed over");
	return rc;
}

/**
 * transfer_give() - give the guest to the successor
 * @t:		 after transfer_foretell()
 * @f:		 after halt_stop()
 * @plan:	 the plan
 * @h:		 after handover_make_room()
 * @deadline_ns: CLOCK_MONOTONIC, for this program's part
 * @reasons:	 why it is still ours
 *
 * Does not return where the guest goes on there: this process ends.
 */
void transfer_give(struct transfer *t, struct freeze *f, const struct plan *plan, struct handover *h,
		   uint64_t deadline_ns, struct reasons *reasons)
{
	if (give_state(t, f, plan, h, deadline_ns, reasons) || give_stream(t, f, h, reasons))
		return;
	/* The successor loads the state, and takes nothing else before it hears of this. */
	int rc = fault_at("sure") ? -EIO : 0;
	if (rc)
		reasons_add(reasons, BLOCKER_STOP_FAILED, "the guest did not stay stopped, " FAULT_TEXT);
	if ((rc || halt_check(&f->halt, deadline_ns, reasons)) && is_ours_again())
		return;
	channel_say(t->channel, CHANNEL_CHECKED);
	if (channel_hears(t->channel, CHANNEL_RUNS, qmp_in_ms(h->timeout_s * 1000 + GRACE_MS)))
		leave(t, h);
	if (!is_ours_again()) {
		if (channel_hears(t->channel, CHANNEL_RUNS, qmp_in_ms(COMMITTED_MS)))
			leave(t, h);
		log_error("the new QEMU, process %d, ended with the guest, or hangs: the guest is lost", (int)t->pid);
		real(_exit)(1);
	}
	tell(reasons, "the new QEMU was killed, or did not run the guest in time");
}

static void forget(struct transfer *t)
{
	if (t->first)
		handover_release(t->first);
	free(t->first);
	t->first = NULL;
}

/**
 * transfer_again() - the successor is not what the VM needs any more: another one is to be brought up
 * @t:  after transfer_begin()
 * @of: what it was brought up for
 *
 * The process that the guest belongs to must not end for that: it is told to begin anew.
 */
void transfer_again(struct transfer *t, struct handover *of)
{
	if (of->how != CPR_TRANSFER_BACK || t->pid < 0) {
		transfer_end(t);
		return;
	}
	of->original = t->channel;
	t->channel = -1;
	t->pidfd = slots_close(t->pidfd);
	forget(t);
}

/** transfer_end() - the guest stays here: the successor ends, where there is one */
void transfer_end(struct transfer *t)
{
	if (t->first && t->first->how == CPR_TRANSFER_BACK)
		original_dismiss(t->channel);
	t->channel = slots_close(t->channel);
	end_process(t);
	forget(t);
}
