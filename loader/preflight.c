/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * preflight.c - can this VM be updated? See preflight.h.
 *
 * xen-save-devices-state checks nothing, and some of what it would lose it loses without a word. So everything that
 * stands against an update is looked for here, and all of it is said at once.
 */
#include "preflight.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/table.h"
#include "clock.h"
#include "hotplug.h"
#include "interrupts.h"
#include "nbddisks.h"
#include "ondisk.h"
#include "partners.h"
#include "qmp.h"
#include "refused.h"
#include "vm.h"

#define PLAN_TRIES    5
#define PLAN_PAUSE_NS 20000000

static json_t *query(const char *command, uint64_t deadline, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];
	json_t *answer = qmp_command(&qmp_private, command, NULL, deadline, error);

	if (!answer)
		reasons_add(reasons, BLOCKER_NOT_TOLD, "%s failed: %s", command, error);
	return answer;
}

static void check_run_state(bool *ret_running, uint64_t deadline, struct reasons *reasons)
{
	json_t *answer = query("query-status", deadline, reasons);
	const char *status = json_string_value(json_object_get(answer, "status"));

	*ret_running = status && !strcmp(status, "running");
	if (status && !*ret_running && strcmp(status, "paused") != 0)
		reasons_add(reasons, BLOCKER_RUN_STATE,
			    "the guest is in state \"%s\": only running and paused guests can be updated", status);
	json_decref(answer);
}

static void check_migration(uint64_t deadline, struct reasons *reasons)
{
	json_t *answer = query("query-migrate", deadline, reasons);
	const json_t *list = json_object_get(answer, "blocked-reasons"), *text;
	const char *status = json_string_value(json_object_get(answer, "status"));
	size_t i;

	json_array_foreach(list, i, text)
		reasons_add(reasons, BLOCKER_NOT_MIGRATABLE, "QEMU: %s", json_string_value(text));
	if (status && (!strcmp(status, "active") || !strcmp(status, "setup") || !strcmp(status, "postcopy-active") ||
		       !strcmp(status, "device") || !strcmp(status, "pre-switchover")))
		reasons_add(reasons, BLOCKER_MIGRATION, "a migration is under way (%s)", status);
	json_decref(answer);
}

static void check_jobs(uint64_t deadline, struct reasons *reasons)
{
	json_t *answer = query("query-jobs", deadline, reasons);
	const json_t *item;
	size_t i;

	json_array_foreach(answer, i, item)
		reasons_add(reasons, BLOCKER_JOB, "job \"%s\" (%s) is running",
			    json_string_value(json_object_get(item, "id")),
			    json_string_value(json_object_get(item, "type")));
	json_decref(answer);
	answer = query("query-block-exports", deadline, reasons);
	json_array_foreach(answer, i, item)
		reasons_add(reasons, BLOCKER_EXPORT, "block export \"%s\" is served by this process",
			    json_string_value(json_object_get(item, "id")));
	json_decref(answer);
}

static void check_bitmaps(uint64_t deadline, struct reasons *reasons)
{
	json_t *answer = query("query-named-block-nodes", deadline, reasons);
	const json_t *node, *bitmap;
	size_t i, j;

	json_array_foreach(answer, i, node)
		json_array_foreach(json_object_get(node, "dirty-bitmaps"), j, bitmap)
			if (!json_is_true(json_object_get(bitmap, "persistent")))
				reasons_add(reasons, BLOCKER_BITMAP_NOT_PERSISTENT,
					    "dirty bitmap \"%s\" on \"%s\" is not persistent and would be lost",
					    json_string_value(json_object_get(bitmap, "name")),
					    json_string_value(json_object_get(node, "node-name")));
	json_decref(answer);
}

/* Only root keeps what it has over an exec; others keep what is ambient (capabilities(7)). */
static void check_capabilities(struct reasons *reasons)
{
	if (geteuid() && vm_process_status("CapPrm", 16) & ~vm_process_status("CapAmb", 16))
		reasons_add(reasons, BLOCKER_CAPABILITIES_LOST,
			    "this process has capabilities that an exec would take from it");
}

/** preflight_chardevs() - answer of query-chardev, a new reference, or NULL */
json_t *preflight_chardevs(uint64_t deadline_ns)
{
	char error[QMP_ERROR_MAX];

	return qmp_command(&qmp_private, "query-chardev", NULL, deadline_ns, error);
}

/** preflight_target() - what the guest is, as query-target says it, to be freed, or NULL */
char *preflight_target(uint64_t deadline_ns)
{
	char error[QMP_ERROR_MAX];
	json_t *answer = qmp_command(&qmp_private, "query-target", NULL, deadline_ns, error);
	const char *arch = json_string_value(json_object_get(answer, "arch"));
	char *copy = arch ? strdup(arch) : NULL;

	json_decref(answer);
	return copy;
}

/**
 * preflight_plan() - what becomes of each descriptor
 * @plan:	 the plan; plan_free() ends it in any case
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what cannot be handed over
 *
 * A client may come or go between QEMU's answer and the look at its descriptors, which then do not agree: that is tried
 * again.
 *
 * Return: 0 or a negative errno.
 */
int preflight_plan(struct plan *plan, uint64_t deadline_ns, struct reasons *reasons)
{
	const struct timespec pause = { .tv_nsec = PLAN_PAUSE_NS };

	for (int tries = 1;; tries++) {
		struct reasons found = REASONS_INIT;
		json_t *chardevs = preflight_chardevs(deadline_ns);
		json_t *fdsets = query("query-fdsets", deadline_ns, &found);
		int rc = chardevs && fdsets ? plan_make(plan, chardevs, fdsets, deadline_ns, &found) : -EIO;

		if (!rc)
			partners_plan(plan, chardevs, deadline_ns, &found);
		json_decref(chardevs);
		json_decref(fdsets);
		bool good = !rc && !reasons_any(&found);
		if (good || rc || tries == PLAN_TRIES) {
			reasons_move(reasons, &found);
			return rc;
		}
		reasons_free(&found);
		plan_free(plan);
		nanosleep(&pause, NULL);
	}
}

/* Hooks and table are there on every host that the library is built for; an update is for those that it was tried on. */
static void check_processor(struct reasons *reasons)
{
#if defined(__x86_64__)
	(void)reasons;
#else
	reasons_add(reasons, BLOCKER_HOST_PROCESSOR, "updates are not available for this processor");
#endif
}

/**
 * preflight_vm() - look for everything that stands against an update of this VM
 * @plan:	 what becomes of its descriptors; plan_free() ends it in any case
 * @ret_running: the guest runs
 * @reasons:	 what was found
 *
 * Return: 0, or a negative errno where nothing could be asked.
 */
int preflight_vm(struct plan *plan, bool *ret_running, struct reasons *reasons)
{
	uint64_t deadline = qmp_in_ms(30000);

	*plan = (struct plan){ .fds = NULL };
	check_processor(reasons);
	if (!vm.machine[0] || !vm.entities) {
		reasons_add(reasons, BLOCKER_NOT_STARTED, "QEMU has not finished starting");
		return -EAGAIN;
	}
	if (vm.inhibited[0])
		reasons_add(reasons, BLOCKER_INHIBITED, "updates of this VM are inhibited: %s", vm.inhibited);
	if (table_why_incomplete())
		reasons_add(reasons, BLOCKER_TABLE_INCOMPLETE, "%s", table_why_incomplete());
	refused_options(vm.argv, reasons);
	check_run_state(ret_running, deadline, reasons);
	check_migration(deadline, reasons);
	check_jobs(deadline, reasons);
	check_bitmaps(deadline, reasons);
	hotplug_check(deadline, reasons);
	check_capabilities(reasons);
	interrupts_check(deadline, reasons);
	int rc = preflight_plan(plan, deadline, reasons);
	ondisk_check(plan, reasons);
	nbddisks_check(plan, deadline, reasons);
	if (rc)
		reasons_add(reasons, BLOCKER_NOT_TOLD, "the descriptors could not be listed: %s", strerror(-rc));
	return rc;
}

static bool is_image(const struct inspected *it)
{
	int flags = real(fcntl)(it->fd, F_GETFL);

	return (it->kind == FDKIND_FILE || it->kind == FDKIND_BLOCKDEV) && flags >= 0 &&
	       (flags & O_ACCMODE) != O_RDONLY;
}

/**
 * preflight_flush() - have the images' dirty pages written while the guest runs
 * @plan:    the plan
 * @reasons: a disk that does not take them
 *
 * QEMU's "stop" waits for the host's page cache (cpus.c:do_vm_stop, bdrv_flush_all), with the guest standing still.
 */
void preflight_flush(const struct plan *plan, struct reasons *reasons)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];

		if (p->action == PLAN_REOPEN && is_image(&p->it) && fdatasync(p->it.fd))
			reasons_add(reasons, BLOCKER_DIRTY_FLUSH, "%s cannot be flushed: %s", p->it.link,
				    strerror(errno));
	}
}
