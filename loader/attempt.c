/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* attempt.c - an update that is being tried; see attempt.h. */
#include "attempt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/log.h"
#include "../shim/settings.h"
#include "../shim/slots.h"
#include "allowed.h"
#include "beside.h"
#include "control.h"
#include "fault.h"
#include "images.h"
#include "original.h"
#include "preflight.h"
#include "probes.h"
#include "qmp.h"
#include "ramblocks.h"
#include "refused.h"
#include "rehearsal.h"
#include "replacement.h"
#include "surroundings.h"
#include "vhosts.h"

#define REHEARSALS 3
/* How long a full rehearsal may hold the guest where nothing else was said. */
#define STANDSTILL_MS 1000

/* Does another process start what takes the guest? */
static bool is_started_elsewhere(const struct attempt *a)
{
	return a->h.how == CPR_TRANSFER_RECEIVED || a->h.how == CPR_TRANSFER_BACK;
}

/** attempt_progress() - tell whoever waits, and the log, how far it is */
void attempt_progress(const struct attempt *a, const char *stage, const char *text)
{
	PROBE1(stage, stage);
	log_debug("%s: %s", stage, text);
	control_progress(a->request->requester, stage, text);
}

/** attempt_progress_while_running() - the same; nothing fails here by being asked to */
void attempt_progress_while_running(const struct attempt *a, const char *stage, const char *text)
{
	attempt_progress(a, stage, text);
	fault_at(stage);
}

/** attempt_plan_again() - make the plan again. Return: 0 or a negative errno, with a reason. */
int attempt_plan_again(struct attempt *a)
{
	plan_free(&a->plan);
	int rc = preflight_plan(&a->plan, qmp_in_ms(ATTEMPT_STEP_MS), &a->reasons);
	return rc ? rc : reasons_any(&a->reasons) ? -EBUSY : 0;
}

/* A client may come or go at any time: then the plan is not true any more. */
static void rehearse(struct attempt *a, const struct rehearsal *how)
{
	char why[256];
	int rc = -EBADF;

	for (int tries = 0; tries < REHEARSALS && rc == -EBADF; tries++) {
		if (tries && attempt_plan_again(a))
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
	attempt_progress_while_running(a, "rehearse", text);
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
	attempt_progress_while_running(a, "probe", "starting the replacement for a moment");
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

/** attempt_check_vm() - look at the VM, and plan. Return: 0, or -EAGAIN where there is nothing that could be looked at. */
int attempt_check_vm(struct attempt *a)
{
	int rc = preflight_vm(&a->plan, &a->h.running, &a->reasons);

	/* Where nothing is started here, nothing has to be. */
	if (is_started_elsewhere(a))
		reasons_forget(&a->reasons, BLOCKER_SANDBOX);
	return rc;
}

/** attempt_check() - everything that is looked at while the guest runs; what stands against the update is among its reasons */
void attempt_check(struct attempt *a)
{
	attempt_progress_while_running(a, "check", "looking for what stands against an update");
	method_choose(&a->method, a->request, &a->h, &a->reasons);
	allowed_request(a->request, &a->reasons, &a->warnings);
	if (attempt_check_vm(a) == -EAGAIN)
		return;
	if (!ramblocks_query(a->h.blocks, &a->h.block_count, qmp_in_ms(ATTEMPT_STEP_MS), &a->reasons))
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

/**
 * attempt_begin() - an update is to be tried
 * @request: what is asked for; stays the caller's until attempt_end()
 *
 * On the service thread, as all of this.
 *
 * Return: what attempt_end() frees, or NULL where there is no memory.
 */
struct attempt *attempt_begin(const struct update_request *request)
{
	struct attempt *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->request = request;
	a->freeze = (struct freeze)FREEZE_INIT;
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

/** attempt_end() - it is over, and the guest goes on in this process */
void attempt_end(struct attempt *a)
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
