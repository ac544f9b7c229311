/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * update.c - one update, from the request to the exec.
 *
 * Everything that can be found out while the guest runs is, before it is stopped. From the freeze to the exec each
 * failure is undone here; after the exec it is the successor's (loader/rollback.c).
 */
#include "update.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/log.h"
#include "../shim/moved.h"
#include "../shim/settings.h"
#include "../shim/slots.h"
#include "allowed.h"
#include "beside.h"
#include "control.h"
#include "endsignals.h"
#include "fault.h"
#include "handover.h"
#include "images.h"
#include "method.h"
#include "ondisk.h"
#include "original.h"
#include "partners.h"
#include "preflight.h"
#include "qmp.h"
#include "ramblocks.h"
#include "refused.h"
#include "rehearsal.h"
#include "replacement.h"
#include "result.h"
#include "surroundings.h"
#include "transfer.h"
#include "vhosts.h"

/* Commands of ours are answered at once by a QEMU that is well; stop and save may wait for storage. */
#define STEP_MS	   30000
#define REHEARSALS 3
#define TRANSFERS  10
#define RETURNS	   100
/* How long a full rehearsal may hold the guest where nothing else was said. */
#define STANDSTILL_MS 1000

/**
 * struct attempt - an update that is being tried
 * @request: what is asked for
 * @h:	     what is handed over
 * @freeze:  how far the guest is stopped
 * @plan:    what becomes of the descriptors
 * @script:  the command that a script alone is
 * @room:    there is room for a second QEMU: one may be started to be tried
 * @measured: what rehearsals of it took
 * @method:  how it is to be done
 * @about:   what the replacement has told of itself, or NULL
 * @reasons, @warnings: so far
 */
struct attempt {
	const struct update_request *request;
	struct handover h;
	struct freeze freeze;
	struct plan plan;
	char *script[2];
	bool room;
	struct measured measured;
	struct method method;
	json_t *about;
	struct reasons reasons;
	struct reasons warnings;
};

/* Does another process start what takes the guest? */
static bool is_started_elsewhere(const struct attempt *a)
{
	return a->h.how == CPR_TRANSFER_RECEIVED || a->h.how == CPR_TRANSFER_BACK;
}

static void progress(const struct attempt *a, const char *stage, const char *text)
{
	log_debug("%s: %s", stage, text);
	control_progress(a->request->requester, stage, text);
}

/* Nothing fails here by being asked to. */
static void progress_while_running(const struct attempt *a, const char *stage, const char *text)
{
	progress(a, stage, text);
	fault_at(stage);
}

static int plan_again(struct attempt *a)
{
	plan_free(&a->plan);
	int rc = preflight_plan(&a->plan, qmp_in_ms(STEP_MS), &a->reasons);
	return rc ? rc : reasons_any(&a->reasons) ? -EBUSY : 0;
}

/* A client may come or go at any time: then the plan is not true any more. */
static void rehearse(struct attempt *a, const struct rehearsal *how)
{
	char why[256];
	int rc = -EBADF;

	for (int tries = 0; tries < REHEARSALS && rc == -EBADF; tries++) {
		if (tries && plan_again(a))
			return;
		if (!beside_possible(&a->plan, true, why, sizeof(why))) {
			reasons_note(&a->warnings, "not rehearsed: %s", why);
			return;
		}
		rc = rehearsal_run(&a->h, &a->plan, how, &a->measured, &a->reasons);
	}
	if (rc)
		reasons_add(&a->reasons, BLOCKER_PROBE_FAILED, "the update could not be rehearsed: %s", strerror(-rc));
}

/* Is the guest to stand still for longer than is allowed? */
static bool is_too_long(struct attempt *a, const char *what, double ms, const char *from)
{
	if (!a->request->max_blackout_ms || ms <= a->request->max_blackout_ms)
		return false;
	reasons_add(&a->reasons, BLOCKER_BLACKOUT_TOO_LONG,
		    "%s is expected to take %.0f ms (from: %s), and %u ms are allowed", what, ms, from,
		    a->request->max_blackout_ms);
	return true;
}

static void check_by_rehearsal(struct attempt *a)
{
	struct rehearsal how = { .full = a->request->rehearse == REHEARSE_FULL,
				 .max_ms = a->request->max_blackout_ms ? a->request->max_blackout_ms : STANDSTILL_MS };
	char text[128];
	const char *from;
	double ms = forecast_standstill(&from);

	if (how.full && is_too_long(a, "the blackout of the rehearsal", ms, from))
		return;
	if (how.full && ms >= 0)
		snprintf(text, sizeof(text),
			 "the guest will stand still for about %.0f ms (from: %s), and no longer than %u ms", ms, from,
			 how.max_ms);
	else if (how.full)
		snprintf(text, sizeof(text), "the guest will stand still for no longer than %u ms", how.max_ms);
	else
		snprintf(text, sizeof(text), "bringing the new QEMU up beside the guest, to be thrown away");
	progress_while_running(a, "rehearse", text);
	rehearse(a, &how);
	if (a->measured.standstill >= 0 && !reasons_any(&a->reasons))
		forecast_note(&a->measured);
}

static void check_blackout(struct attempt *a)
{
	const char *from;
	double ms = forecast_update(&a->measured, method_is_beside(&a->method), &from);

	if (a->request->max_blackout_ms && ms < 0)
		reasons_note(&a->warnings,
			     "the blackout is not known beforehand: this VM was never updated nor rehearsed");
	is_too_long(a, "the blackout", ms, from);
}

/* What a transfer brings up beside the guest is the one that will have it: if that fails, nothing has been touched. */
static bool is_rehearsed(const struct attempt *a)
{
	return a->request->rehearse == REHEARSE_FULL || (a->request->rehearse && !method_is_beside(&a->method));
}

/* What this process would start must start, now and then. */
static void check_programs(struct attempt *a)
{
	a->room = surroundings_check(&a->reasons);
	progress_while_running(a, "probe", "starting the replacement for a moment");
	replacement_check(a->request, &a->h.target, a->script, a->room, &a->about, &a->reasons);
	plan_check_version(&a->plan, a->h.target.version, &a->reasons);
	replacement_check_way_back(&a->h.back, a->room, &a->reasons);
}

/* What is started elsewhere is looked at when it is up; the way back is this process. */
static void look_elsewhere(struct attempt *a)
{
	replacement_elsewhere(a->request->to ? a->request->to : vm.binary.path, &a->h.target);
	if (a->h.how == CPR_TRANSFER_BACK) { /* what runs here is what it becomes */
		memcpy(a->h.target.version, vm.binary.version, sizeof(a->h.target.version));
		memcpy(a->h.target.package, vm.binary.package, sizeof(a->h.target.package));
	}
	a->h.back = vm.binary;
}

static int check_vm(struct attempt *a)
{
	int rc = preflight_vm(&a->plan, &a->h.running, &a->reasons);

	/* Where nothing is started here, nothing has to be. */
	if (is_started_elsewhere(a))
		reasons_forget(&a->reasons, BLOCKER_SANDBOX);
	return rc;
}

/* Everything that is looked at while the guest runs. */
static void check(struct attempt *a)
{
	progress_while_running(a, "check", "looking for what stands against an update");
	method_choose(&a->method, a->request, &a->h, &a->reasons);
	allowed_request(a->request, &a->reasons);
	if (check_vm(a) == -EAGAIN)
		return;
	if (!ramblocks_query(a->h.blocks, &a->h.block_count, qmp_in_ms(STEP_MS), &a->reasons))
		ramblocks_check(a->h.blocks, a->h.block_count, &a->reasons);
	method_settle(&a->method, &a->plan, &a->h, &a->reasons);
	if (!images_can_activate() && (!a->h.running || a->h.hold))
		reasons_add(&a->reasons, BLOCKER_PAUSE_UNSUPPORTED,
			    "this QEMU does not export what is needed to keep a guest paused over an update");
	plan_check_version(&a->plan, vm.binary.version, &a->reasons);
	if (is_started_elsewhere(a))
		look_elsewhere(a);
	else if (refused_spawn(vm.argv))
		return; /* that is a reason already */
	else
		check_programs(a);
	vhosts_warn(&a->plan, &a->warnings);
	if (is_rehearsed(a) && !reasons_any(&a->reasons))
		check_by_rehearsal(a);
	if (!reasons_any(&a->reasons))
		check_blackout(a);
}

static struct attempt *begin(const struct update_request *request)
{
	struct attempt *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->request = request;
	a->freeze.state_fd = -1;
	a->measured = (struct measured)MEASURED_NOTHING;
	handover_begin(&a->h, request->timeout_s ? request->timeout_s : settings.timeout_s);
	a->h.hold = request->hold;
	a->h.requester = request->requester;
	a->h.to = request->to;
	a->h.original = request->original;
	a->h.relayed = request->relayed;
	a->h.method_why = a->method.why;
	a->h.warnings = &a->warnings;
	return a;
}

static void end(struct attempt *a)
{
	handover_release(&a->h);
	slots_close(a->h.target.fd);
	if (a->h.original != a->request->original) {
		original_dismiss(a->h.original);
		slots_close(a->h.original);
	}
	plan_free(&a->plan);
	reasons_free(&a->reasons);
	reasons_free(&a->warnings);
	vm_drop_journal();
	json_decref(a->about);
	free(a);
}

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
	check_vm(a);
	if (!reasons_any(&a->reasons) &&
	    !ramblocks_query(a->h.blocks, &a->h.block_count, qmp_in_ms(STEP_MS), &a->reasons))
		ramblocks_check(a->h.blocks, a->h.block_count, &a->reasons);
	return reasons_any(&a->reasons) ? -EBUSY : 0;
}

/* What may take its time, while the guest still runs. */
static int prepare(struct attempt *a)
{
	int rc = vm_new_journal();

	progress_while_running(a, "flush", "writing the images' dirty pages");
	preflight_flush(&a->plan, &a->reasons);
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
		rc = plan_again(a);
	if (!rc)
		rc = freeze_inputs(f, &a->plan, deadline);
	if (rc)
		reasons_add(&a->reasons, BLOCKER_INPUTS_HELD, "the guest's inputs could not be held: %s",
			    strerror(-rc));
	return rc || check_again(a) ? -EBUSY : 0;
}

/* The last of what can be written while the guest runs. */
static int begin_handover(struct attempt *a, uint64_t deadline)
{
	/* A transfer has compared them already. */
	int rc = method_is_beside(&a->method) ? 0 : ondisk_hold(&a->plan, &a->warnings);

	if (!rc)
		rc = handover_prepare(&a->h, deadline);
	if (rc)
		reasons_add(&a->reasons, BLOCKER_STATE_WRITE, "the update could not be prepared: %s", strerror(-rc));
	return rc;
}

/* From the guest's last instruction to the state that the next QEMU goes on from. */
static int stop_and_write(struct attempt *a, uint64_t deadline)
{
	struct freeze *f = &a->freeze;

	f->stop_is_shown = a->h.hold;
	if (freeze_stop(f, a->h.running, deadline, &a->reasons) ||
	    partners_check_rings(&a->plan, deadline, &a->reasons) || freeze_save(f, deadline, &a->reasons) ||
	    freeze_ringbufs(f, deadline, &a->reasons))
		return -EIO;
	int rc = freeze_collect(f);
	if (rc)
		reasons_add(&a->reasons, BLOCKER_INPUTS_HELD, "output of the old QEMU could not be passed on: %s",
			    strerror(-rc));
	return rc ? rc : handover_write(&a->h, f, &a->plan, &a->reasons);
}

/* From the first decoy to the exec; comes back only where something failed. */
static void freeze_and_exec(struct attempt *a)
{
	uint64_t deadline = qmp_in_ms(STEP_MS);

	progress(a, "freeze", "stopping the guest");
	if (hold(a, deadline) || begin_handover(a, deadline) || stop_and_write(a, deadline))
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
		rc = plan_again(a);
	if (!rc)
		rc = freeze_gates(&a->freeze, &a->plan, qmp_in_ms(STEP_MS));
	return rc ? rc : plan_again(a);
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
		progress_while_running(a, "bring-up", "bringing the new QEMU up beside the guest");
		int rc = transfer_begin(t, &a->h, &a->freeze, &a->plan, &a->reasons);
		if (rc && rc != -EBADF)
			return rc;
		*ret_deadline = qmp_in_ms(STEP_MS);
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
		progress(a, "freeze", "stopping the guest");
		endsignals_hold();
		if (!begin_handover(a, deadline) && !stop_and_write(a, deadline))
			transfer_give(&t, &a->h, &a->reasons);
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
	struct attempt *a = begin(request);
	struct result_start start;
	json_t *result;

	if (!a)
		return NULL;
	check(a);
	start = start_of(a);
	if (reasons_any(&a->reasons) || prepare(a)) {
		result = result_refused(&start, &a->reasons);
	} else {
		if (method_is_beside(&a->method))
			freeze_and_transfer(a);
		else
			freeze_and_exec(a);
		bool touched = a->freeze.stopped || a->freeze.saved;
		freeze_undo(&a->freeze, a->h.running);
		moved_release();
		result = touched ? result_failed(&start, &a->reasons) : result_refused(&start, &a->reasons);
	}
	end(a);
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
	struct attempt *a = begin(request);

	if (!a) {
		reasons_note(reasons, "no memory");
		return;
	}
	check(a);
	if (!reasons_any(&a->reasons) && !prepare(a)) {
		freeze_and_transfer(a);
		freeze_undo(&a->freeze, a->h.running);
		moved_release();
	}
	reasons_move(reasons, &a->reasons);
	end(a);
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
	struct attempt *a = begin(request);

	if (!a)
		return NULL;
	check(a);
	json_t *result = json_pack("{s:b, s:o, s:o, s:o, s:s, s:s, s:{s:s, s:s}}", "ok", !reasons_any(&a->reasons),
				   "reasons", reasons_json(&a->reasons), "blockers", reasons_blockers(&a->reasons),
				   "warnings", reasons_json(&a->warnings), "method", a->method.name, "method_reason",
				   a->method.why, "to", "binary", a->h.target.path, "version", a->h.target.version);
	json_object_update(json_object_get(result, "to"), a->about);
	add_forecast(a, result);
	end(a);
	return result;
}
