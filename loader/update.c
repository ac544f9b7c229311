/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * update.c - one update, from the request to the exec.
 *
 * Everything that can be found out while the guest runs is, before it is stopped (attempt.c). From the freeze to the exec each
 * failure is undone here; after the exec it is the successor's (loader/rollback.c).
 */
#include "update.h"

#include <errno.h>
#include <string.h>

#include "../shim/moved.h"
#include "attempt.h"
#include "endsignals.h"
#include "fault.h"
#include "interrupts.h"
#include "notify.h"
#include "ondisk.h"
#include "partners.h"
#include "preflight.h"
#include "probes.h"
#include "qmp.h"
#include "ramblocks.h"
#include "rehearsal.h"
#include "result.h"
#include "transfer.h"
#include "warm.h"

#define TRANSFERS 10
#define RETURNS	  100

static struct result_start start_of(const struct attempt *a)
{
	return (struct result_start){ .ms = a->h.started_ms,
				      .ns = a->h.started_ns,
				      .target = &a->h.target,
				      .method = a->method.name,
				      .why = a->method.why };
}

/*
 * Between the check and the time when nobody else's commands are begun any more, anything may have been done: devices
 * added, snapshots taken, the guest stopped. So all of it is looked at again.
 */
static int check_again(struct attempt *a)
{
	plan_free(&a->plan);
	attempt_check_vm(a);
	if (!reasons_any(&a->reasons) &&
	    !ramblocks_query(a->h.blocks, &a->h.block_count, qmp_in_ms(ATTEMPT_STEP_MS), &a->reasons))
		ramblocks_check(a->h.blocks, a->h.block_count, &a->reasons);
	return reasons_any(&a->reasons) ? -EBUSY : 0;
}

/* What may take its time, while the guest still runs. */
static int prepare(struct attempt *a)
{
	int rc = vm_new_journal();

	attempt_progress_while_running(a, "flush", "writing the images' dirty pages");
	preflight_flush(&a->plan, &a->reasons);
	warm_program();
	if (rc)
		reasons_add(&a->reasons, BLOCKER_STATE_WRITE, "the update could not be prepared: %s", strerror(-rc));
	return reasons_any(&a->reasons) ? -EIO : 0;
}

/* Nobody moves the guest any more, and what was found out is still so. */
static int hold(struct attempt *a, uint64_t deadline)
{
	struct freeze *f = &a->freeze;
	bool fails = fault_at("freeze");
	int rc = fails ? -EIO : freeze_gates(f, &a->plan, deadline);

	if (!rc)
		rc = attempt_plan_again(a);
	if (!rc)
		rc = freeze_inputs(f, &a->plan, deadline);
	if (rc)
		reasons_add(&a->reasons, BLOCKER_INPUTS_HELD, "the guest's inputs could not be held: %s",
			    strerror(-rc));
	return rc || check_again(a) ? -EBUSY : 0;
}

/* Does nothing of ours lie between the two? */
static bool stops_and_saves_at_once(const struct attempt *a)
{
	return method_is_beside(&a->method) && !interrupts_at_risk() && !partners_have_rings(&a->plan) &&
	       !a->plan.ringbufs;
}

/* The last of what can be written while the guest runs. */
static int begin_handover(struct attempt *a, uint64_t deadline)
{
	/* A transfer has compared them already. */
	int rc = method_is_beside(&a->method) ? 0 : ondisk_hold(&a->plan, &a->warnings);

	if (!rc)
		rc = handover_prepare(&a->h, deadline);
	if (!rc)
		rc = halt_foresee(&a->freeze.halt, a->h.running, stops_and_saves_at_once(a));
	if (!rc)
		rc = handover_make_room(&a->h);
	if (rc)
		reasons_add(&a->reasons, BLOCKER_STATE_WRITE, "the update could not be prepared: %s", strerror(-rc));
	return rc;
}

/* From here on the guest stands still. */
static int stop(struct attempt *a, uint64_t deadline)
{
	struct freeze *f = &a->freeze;

	f->stop_is_shown = a->h.hold;
	return halt_stop(&f->halt, a->h.running, deadline, &a->reasons) ||
			       partners_check_rings(&a->plan, deadline, &a->reasons) ||
			       (a->plan.ringbufs && halt_ringbufs(&f->halt, deadline, &a->reasons))
		       ? -EIO
		       : 0;
}

/* The state that the next QEMU goes on from. */
static int save_and_write(struct attempt *a, uint64_t deadline)
{
	struct freeze *f = &a->freeze;

	return halt_save(&f->halt, deadline, &a->reasons) || halt_check(&f->halt, deadline, &a->reasons) ||
			       freeze_collect(f, &a->reasons) || handover_write(&a->h, f, &a->plan, &a->reasons)
		       ? -EIO
		       : 0;
}

/* From the first decoy to the exec; comes back only where something failed. */
static void freeze_and_exec(struct attempt *a)
{
	uint64_t deadline = qmp_in_ms(ATTEMPT_STEP_MS);

	attempt_progress(a, "freeze", "stopping the guest");
	if (hold(a, deadline) || begin_handover(a, deadline) || stop(a, deadline) || save_and_write(a, deadline))
		return;
	/* The point of no return for this program: what fails from here on leads back by another exec. */
	if (fault_at("exec")) {
		a->h.exec.program.fd = -1;
		a->h.exec.program.path = NULL;
	}
	int rc = execute(&a->h.exec);
	reasons_add(&a->reasons, BLOCKER_EXEC_FAILED, "%s could not be started: %s", a->h.target.path, strerror(-rc));
}

/*
 * The successor that was brought up is not what the VM needs any more. Whoever comes from now on waits until one is; others
 * may leave, and then it is tried again, but they become fewer.
 */
static int transfer_anew(struct attempt *a, struct transfer *t)
{
	transfer_again(t, &a->h);
	freeze_release_inputs(&a->freeze);
	moved_release();
	vm_drop_journal();
	int rc = vm_new_journal();
	if (!rc)
		rc = attempt_plan_again(a);
	if (!rc)
		rc = freeze_gates(&a->freeze, &a->plan, qmp_in_ms(ATTEMPT_STEP_MS));
	return rc ? rc : attempt_plan_again(a);
}

/*
 * Bring a successor up, and hold the guest's inputs: they must be what that one has. A client may come or go at any time
 * before. A stand-in does not give up soon: the process that the guest belongs to would end.
 */
static int transfer_up(struct attempt *a, struct transfer *t, uint64_t *ret_deadline)
{
	int limit = a->h.how == CPR_TRANSFER_BACK ? RETURNS : TRANSFERS;
	const char *why = "its connections";

	for (int tries = 0; tries < limit; tries++) {
		if (tries && transfer_anew(a, t))
			return -EBUSY;
		attempt_progress_while_running(a, "bring-up", "bringing the new QEMU up beside the guest");
		int rc = transfer_begin(t, &a->h, &a->freeze, &a->plan, &a->reasons);
		if (rc && rc != -EBADF)
			return rc;
		*ret_deadline = qmp_in_ms(ATTEMPT_STEP_MS);
		if (!rc && hold(a, *ret_deadline))
			return -EBUSY;
		if (!rc)
			rc = ondisk_hold(&a->plan, &a->warnings);
		if (!rc)
			rc = transfer_check(t, &a->freeze, &a->h, &a->plan, &why);
		if (!rc)
			return 0;
	}
	reasons_add(&a->reasons, BLOCKER_STATE_WRITE, "the VM changed while the new QEMU came up: %s", why);
	return -EAGAIN;
}

/* Comes back only where something failed. */
static void freeze_and_transfer(struct attempt *a)
{
	struct transfer t = { .pid = -1, .pidfd = -1, .channel = -1 };
	uint64_t deadline;

	a->h.kind = HANDOVER_GIVEN;
	if (!transfer_up(a, &t, &deadline)) {
		attempt_progress(a, "freeze", "stopping the guest");
		endsignals_hold();
		if (!begin_handover(a, deadline)) {
			transfer_foretell(&t);
			if (!stop(a, deadline))
				transfer_give(&t, &a->freeze, &a->plan, &a->h, deadline, &a->reasons);
		}
		endsignals_release();
	}
	transfer_end(&t);
}

/**
 * update_run() - update the VM
 * @request: what is asked for
 *
 * On the service thread.
 *
 * Return: only where this program goes on running the guest: the result, a new reference.
 */
json_t *update_run(const struct update_request *request)
{
	struct attempt *a = attempt_begin(request);
	struct result_start start;
	json_t *result;

	if (!a)
		return NULL;
	PROBE(update__begin);
	notify_updating();
	attempt_check(a);
	start = start_of(a);
	if (reasons_any(&a->reasons) || prepare(a)) {
		result = result_refused(&start, &a->reasons);
	} else {
		if (method_is_beside(&a->method))
			freeze_and_transfer(a);
		else
			freeze_and_exec(a);
		bool touched = a->freeze.halt.stopped || a->freeze.halt.saved;
		freeze_undo(&a->freeze, a->h.running);
		moved_release();
		result = touched ? result_failed(&start, &a->reasons) : result_refused(&start, &a->reasons);
	}
	attempt_end(a);
	return result;
}

/**
 * update_bring_back() - in a stand-in: give the guest back to the process that it belongs to
 * @request: whom it goes to
 * @reasons: why it stays here
 *
 * On the service thread. Comes back only where the guest goes on in this process.
 */
void update_bring_back(const struct update_request *request, struct reasons *reasons)
{
	struct attempt *a = attempt_begin(request);

	if (!a) {
		reasons_note(reasons, "no memory");
		return;
	}
	attempt_check(a);
	if (!reasons_any(&a->reasons) && !prepare(a)) {
		freeze_and_transfer(a);
		freeze_undo(&a->freeze, a->h.running);
		moved_release();
	}
	reasons_move(reasons, &a->reasons);
	attempt_end(a);
}

static void add_forecast(const struct attempt *a, json_t *result)
{
	const struct measured *m = &a->measured;
	const char *from;
	double ms = forecast_update(m, method_is_beside(&a->method), &from);

	if (ms >= 0 && !(reasons_any(&a->reasons) && m->standstill >= 0))
		json_object_set_new(result, "predicted_blackout", json_pack("{s:f, s:s}", "ms", ms, "from", from));
	if (m->startup >= 0)
		json_object_set_new(result, "rehearsal", rehearsal_json(m, &a->plan));
}

/**
 * update_check() - could the VM be updated?
 * @request: what would be asked for
 *
 * Return: "ok" and "reasons", a new reference. Nothing is touched, and nothing goes into the history.
 */
json_t *update_check(const struct update_request *request)
{
	struct attempt *a = attempt_begin(request);

	if (!a)
		return NULL;
	attempt_check(a);
	json_t *result = json_pack("{s:b, s:o, s:o, s:o, s:s, s:s, s:{s:s, s:s}}", "ok", !reasons_any(&a->reasons),
				   "reasons", reasons_json(&a->reasons), "blockers", reasons_blockers(&a->reasons),
				   "warnings", reasons_json(&a->warnings), "method", a->method.name, "method_reason",
				   a->method.why, "to", "binary", a->h.target.path, "version", a->h.target.version);
	json_object_update(json_object_get(result, "to"), a->about);
	add_forecast(a, result);
	attempt_end(a);
	return result;
}
