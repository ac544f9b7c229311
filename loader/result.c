/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* result.c - how an update ended; see result.h. */
#include "result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/log.h"
#include "audit.h"
#include "clock.h"
#include "notify.h"
#include "probes.h"
#include "threads.h"

#define HISTORY_KEPT 32

static const struct phase {
	const char *name;
	enum journal_moment from, to;
} by_exec[] = {
	{ "stop", JOURNAL_STOPPING, JOURNAL_STOPPED }, { "save", JOURNAL_STOPPED, JOURNAL_SAVED },
	{ "prepare", JOURNAL_SAVED, JOURNAL_EXEC },    { "exec", JOURNAL_EXEC, JOURNAL_STARTED },
	{ "startup", JOURNAL_STARTED, JOURNAL_UP },    { "remap", JOURNAL_UP, JOURNAL_REMAPPED },
	{ "load", JOURNAL_REMAPPED, JOURNAL_LOADED },  { "resume", JOURNAL_LOADED, JOURNAL_RUNNING },
	{ .name = NULL },
}, by_transfer[] = {
	{ "stop", JOURNAL_STOPPING, JOURNAL_STOPPED },	  { "save", JOURNAL_STOPPED, JOURNAL_SAVED },
	{ "write", JOURNAL_SAVED, JOURNAL_WRITTEN },	  { "give", JOURNAL_WRITTEN, JOURNAL_GIVEN },
	{ "load", JOURNAL_GIVEN, JOURNAL_LOADED },	  { "verify", JOURNAL_LOADED, JOURNAL_READY },
	{ "images", JOURNAL_READY, JOURNAL_IMAGES },	  { "switch", JOURNAL_IMAGES, JOURNAL_SWITCHED },
	{ "resume", JOURNAL_SWITCHED, JOURNAL_RUNNING },  { .name = NULL },
}, beside_save[] = {
	{ "remap", JOURNAL_STOPPING, JOURNAL_REMAPPED },
	{ "state", JOURNAL_STOPPED, JOURNAL_TAKEN },
	{ "connect", JOURNAL_TAKEN, JOURNAL_CONNECTED },
	{ .name = NULL },
};

static double ms_between(uint64_t from, uint64_t to)
{
	/* Microseconds are as exact as it is worth saying. */
	uint64_t us = to > from ? (to - from) / 1000 : 0;

	return (double)us / 1000;
}

static json_t *list_of(const struct phase *phases, const uint64_t *m)
{
	json_t *list = json_object();

	for (; phases->name; phases++)
		json_object_set_new(list, phases->name, json_real(ms_between(m[phases->from], m[phases->to])));
	return list;
}

static void add_blackout(json_t *result, const struct phase *phases)
{
	const uint64_t *m = vm.journal ? vm.journal->moment : NULL;

	if (!m || !m[JOURNAL_STOPPING])
		return;
	json_object_set_new(result, "blackout_ms", json_real(ms_between(m[JOURNAL_STOPPING], m[JOURNAL_RUNNING])));
	if (phases)
		json_object_set_new(result, "phases", list_of(phases, m));
	if (phases == by_transfer)
		json_object_set_new(result, "beside_save", list_of(beside_save, m));
}

static json_t *side(const char *path, const char *version)
{
	return json_pack("{s:s, s:s}", "binary", path, "version", version);
}

static json_t *make(const char *outcome, const struct result_start *start)
{
	return json_pack("{s:b, s:s, s:s, s:s, s:f, s:f}", "ok", !strcmp(outcome, "updated"), "outcome", outcome,
			 "method", start->method, "method_reason", start->why, "time", (double)start->ms / 1000,
			 "duration_ms", ms_between(start->ns, clock_now()));
}

static void remember(json_t *result)
{
	char *reasons = json_dumps(json_object_get(result, "reasons"), JSON_COMPACT);
	const char *outcome = json_string_value(json_object_get(result, "outcome"));

	PROBE3(update__end, outcome, json_string_value(json_object_get(result, "method")),
	       (long)(1000 * json_number_value(json_object_get(result, "blackout_ms"))));
	if (json_array_size(vm.history) >= HISTORY_KEPT)
		json_array_remove(vm.history, 0);
	json_array_append(vm.history, result);
	if (json_is_true(json_object_get(result, "ok")))
		log_info("update: %s, blackout %.1f ms", outcome,
			 json_number_value(json_object_get(result, "blackout_ms")));
	else
		log_warn("update %s: %s", outcome, reasons ? reasons : "");
	free(reasons);
	audit_result(result);
	notify_result(result);
}

static json_t *not_updated(const char *outcome, const struct result_start *start, const struct reasons *reasons)
{
	json_t *result = make(outcome, start);

	json_object_set_new(result, "from", side(vm.binary.path, vm.binary.version));
	json_object_set_new(result, "to", side(start->target->path, start->target->version));
	json_object_set_new(result, "reasons", json_copy(reasons->list));
	json_object_set_new(result, "blockers", reasons_blockers(reasons));
	add_blackout(result, NULL);
	remember(result);
	return result;
}

/** result_refused() - the guest was never touched. Return: a new reference; it is in the history too. */
json_t *result_refused(const struct result_start *start, const struct reasons *reasons)
{
	return not_updated("refused", start, reasons);
}

/** result_failed() - before the exec: the guest runs on, on the old binary. Return: as result_refused(). */
json_t *result_failed(const struct result_start *start, const struct reasons *reasons)
{
	return not_updated("failed", start, reasons);
}

static void add_notes(json_t *result, const struct reasons *warnings)
{
	json_t *closed = json_array(), *all = json_array();

	for (uint32_t i = 0; i < vm.cpr_state->note_count; i++) {
		const struct cpr_note *note = &vm.cpr_state->note[i];

		if (note->closed_fd == CPR_NOTE_WARNING)
			json_array_append_new(all, json_string(note->text));
		else
			json_array_append_new(closed, json_pack("{s:i, s:s}", "fd", (int)note->closed_fd, "detail",
								note->text));
	}
	if (warnings->list)
		json_array_extend(all, warnings->list);
	json_object_set_new(result, "closed", closed);
	json_object_set_new(result, "warnings", all);
	if (threads_unplaced())
		json_object_set(result, "unplaced", threads_unplaced());
}

static const char *by_method(void)
{
	uint32_t how = vm.cpr_state->transfer[0].how;

	return how == CPR_TRANSFER_STANDIN || how == CPR_TRANSFER_BACK ? "relay" : "transfer";
}

/* The guest was with a stand-in: what that took, and what brought it back. */
static json_t *add_first(json_t *second, const char *first)
{
	static const char *const both[] = { "phases", "beside_save" };
	json_t *result = json_loads(first, 0, NULL);
	double a = json_number_value(json_object_get(result, "blackout_ms")),
	       b = json_number_value(json_object_get(second, "blackout_ms"));

	struct reasons warnings = { .list = json_object_get(result, "warnings") };
	const json_t *warning;
	size_t i;

	if (!result)
		return second;
	json_object_set_new(result, "blackout_ms", json_real(a > b ? a : b));
	json_object_set_new(result, "blackouts_ms", json_pack("[f, f]", a, b));
	json_object_set_new(result, "duration_ms",
			    json_real(json_number_value(json_object_get(result, "duration_ms")) +
				      json_number_value(json_object_get(second, "duration_ms"))));
	for (size_t k = 0; k < sizeof(both) / sizeof(both[0]); k++)
		json_object_set_new(result, both[k],
				    json_pack("[O, O]", json_object_get(result, both[k]),
					      json_object_get(second, both[k])));
	/* Both ways may have noticed the same. */
	json_array_foreach(json_object_get(second, "warnings"), i, warning)
		reasons_note(&warnings, "%s", json_string_value(warning));
	json_object_del(result, "pid");
	/* Threads are this process's. */
	json_object_del(result, "unplaced");
	if (json_object_get(second, "unplaced"))
		json_object_set(result, "unplaced", json_object_get(second, "unplaced"));
	json_decref(second);
	return result;
}

/**
 * result_stays() - a relay has come to its end at the stand-in
 * @result:   how the guest came there
 * @reasons:  why it has not gone back
 * @warnings: what was noticed since
 */
void result_stays(json_t *result, const struct reasons *reasons, const struct reasons *warnings)
{
	json_t *all = json_object_get(result, "warnings");
	const char *why = json_string_value(json_array_get(reasons->list, 0));

	json_array_append_new(all,
			      json_sprintf("the guest could not go back to its process, and goes on as process %d: %s",
					   (int)getpid(), why ? why : "that has ended"));
	if (warnings->list)
		json_array_extend(all, warnings->list);
	log_warn("%s", json_string_value(json_array_get(all, json_array_size(all) - 1)));
	remember(result);
}

/**
 * result_of_successor() - the guest runs again, in the new binary or back in the old one
 * @warnings: what the successor noticed
 *
 * Return: as result_refused(); in a stand-in it is not in the history, as there is more to come.
 */
json_t *result_of_successor(const struct reasons *warnings)
{
	const struct cpr_vm *rec = &vm.cpr_state->vm[0];
	const struct cpr_binary *old = &vm.cpr_state->binary[0], *new = &vm.cpr_state->binary[1];
	bool updated = vm.journal->attempt == 1;
	bool transferred = vm.cpr_state->transfer_count;
	const struct result_start start = { .ms = rec->started_ms,
					    .ns = rec->started_ns,
					    .method = transferred ? by_method() : "exec",
					    .why = vm.cpr_state->choice_count ? vm.cpr_state->choice[0].why : "" };
	json_t *result = make(updated ? "updated" : "failed", &start);

	json_object_set_new(result, "from", side(old->path, old->version));
	if (transferred) /* by whose start, only that process knows */
		json_object_set_new(result, "to", side(vm.binary.path, vm.binary.version));
	else
		json_object_set_new(result, "to", side(new->path, new->version));
	if (!updated) {
		struct reasons reasons = REASONS_INIT;

		reasons_add(&reasons, BLOCKER_SUCCESSOR_FAILED, "%s", vm.journal->reason);
		json_object_set_new(result, "reasons", reasons_json(&reasons));
		json_object_set_new(result, "blockers", reasons_blockers(&reasons));
		reasons_free(&reasons);
	}
	if (vm.journal->guardian || transferred)
		json_object_set_new(result, "pid", json_integer(getpid()));
	if (vm.journal->guardian)
		log_warn("the guest goes on as process %d", (int)getpid());
	add_notes(result, warnings);
	add_blackout(result, !updated ? NULL : transferred ? by_transfer : by_exec);
	if (vm.cpr_state->relay_count)
		result = add_first(result, vm.cpr_state->relay[0].first);
	if (!transferred || vm.cpr_state->transfer[0].how != CPR_TRANSFER_STANDIN)
		remember(result);
	return result;
}
