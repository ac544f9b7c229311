/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* threads.c - attributes of vCPU and I/O threads; see threads.h. */
#include "threads.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cgroups.h"
#include "qmp.h"

#define AFFINITY_BYTES 1024 /* 8192 CPUs, the kernel's largest NR_CPUS */

static const char *role_name(uint32_t role)
{
	return role == CPR_THREAD_VCPU ? "vCPU" : "I/O thread";
}

/* Calls @fn for each thread that has a role. */
static void each(void (*fn)(uint32_t role, uint32_t index, const char *name, pid_t tid, void *opaque), void *opaque,
		 uint64_t deadline)
{
	char error[QMP_ERROR_MAX];
	json_t *list = qmp_command(&qmp_private, "query-cpus-fast", NULL, deadline, error);
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		fn(CPR_THREAD_VCPU, (uint32_t)json_integer_value(json_object_get(item, "cpu-index")), "",
		   (pid_t)json_integer_value(json_object_get(item, "thread-id")), opaque);
	json_decref(list);
	list = qmp_command(&qmp_private, "query-iothreads", NULL, deadline, error);
	json_array_foreach(list, i, item)
		fn(CPR_THREAD_IOTHREAD, 0, json_string_value(json_object_get(item, "id")),
		   (pid_t)json_integer_value(json_object_get(item, "thread-id")), opaque);
	json_decref(list);
}

struct restore {
	const struct cprstate *state;
	struct reasons *warnings;
	bool may_set;
};

static const struct cpr_thread *find(const struct cprstate *state, uint32_t role, uint32_t index, const char *name)
{
	for (uint32_t i = 0; i < state->thread_count; i++)
		if (state->thread[i].role == role && state->thread[i].index == index &&
		    !strcmp(state->thread[i].name, name))
			return &state->thread[i];
	return NULL;
}

static int apply(pid_t tid, const struct cpr_thread *want)
{
	uint8_t affinity[AFFINITY_BYTES];
	struct sched_param param = { .sched_priority = (int)want->priority }, now;
	long n = syscall(SYS_sched_getaffinity, tid, sizeof(affinity), affinity);
	int rc = 0;

	if ((n != (long)want->affinity.len || memcmp(affinity, want->affinity.data, want->affinity.len) != 0) &&
	    syscall(SYS_sched_setaffinity, tid, want->affinity.len, want->affinity.data))
		rc = -errno;
	if ((sched_getscheduler(tid) != (int)want->policy || sched_getparam(tid, &now) ||
	     now.sched_priority != param.sched_priority) &&
	    sched_setscheduler(tid, (int)want->policy, &param))
		rc = -errno;
	if (getpriority(PRIO_PROCESS, (id_t)tid) != want->nice && setpriority(PRIO_PROCESS, (id_t)tid, want->nice))
		rc = -errno;
	return rc;
}

/*
 * Threads of this process that their predecessors' cgroups are kept for: QEMU's user may not put them there, and root may. By
 * the service thread.
 */
static json_t *unplaced;

static const json_t *find_unplaced(uint32_t role, uint32_t index, const char *name)
{
	const json_t *one;
	size_t i;

	json_array_foreach(unplaced, i, one)
		if (json_integer_value(json_object_get(one, "role")) == role &&
		    json_integer_value(json_object_get(one, "index")) == index &&
		    !strcmp(json_string_value(json_object_get(one, "name")), name))
			return one;
	return NULL;
}

static void save_one(uint32_t role, uint32_t index, const char *name, pid_t tid, void *opaque)
{
	uint8_t affinity[AFFINITY_BYTES];
	char cgroup[CGROUPS_TEXT];
	struct sched_param param = { 0 };
	long n = syscall(SYS_sched_getaffinity, tid, sizeof(affinity), affinity);
	int policy = sched_getscheduler(tid);

	if (n < 0 || policy < 0)
		return;
	sched_getparam(tid, &param);
	cgroups_read_thread(tid, cgroup);
	const json_t *kept = find_unplaced(role, index, name);
	if (kept && !*cgroup)
		snprintf(cgroup, sizeof(cgroup), "%s", json_string_value(json_object_get(kept, "cgroups")));
	struct cpr_thread rec = {
		.role = role,
		.index = index,
		.name = name,
		.affinity = { .data = affinity, .len = (uint32_t)n },
		.policy = (uint32_t)policy,
		.priority = (uint32_t)param.sched_priority,
		.nice = getpriority(PRIO_PROCESS, (id_t)tid),
		.cgroup = cgroup,
	};
	cprstate_put_thread(opaque, &rec);
}

/** threads_save() - write a record for each vCPU and I/O thread */
void threads_save(struct codec_writer *w, uint64_t deadline_ns)
{
	each(save_one, w, deadline_ns);
}

static void place(pid_t tid, const struct cpr_thread *want, struct reasons *warnings)
{
	int rc = cgroups_move_thread(tid, want->cgroup);
	json_t *text;

	if (!rc)
		return;
	text = json_sprintf("%s %s%u is not in its cgroups: %s", role_name(want->role), want->name, want->index,
			    strerror(-rc));
	reasons_note(warnings, "%s", json_string_value(text));
	if (!unplaced)
		unplaced = json_array();
	json_array_append_new(unplaced, json_pack("{s:i, s:i, s:i, s:s, s:s, s:o}", "thread", (int)tid, "role",
						  (int)want->role, "index", (int)want->index, "name", want->name,
						  "cgroups", want->cgroup, "warning", text));
}

/** threads_unplaced() - for a result: threads that are not in their cgroups (docs/control-protocol.md); NULL where all are */
json_t *threads_unplaced(void)
{
	return unplaced;
}

static void restore_one(uint32_t role, uint32_t index, const char *name, pid_t tid, void *opaque)
{
	struct restore *r = opaque;
	const struct cpr_thread *want = find(r->state, role, index, name);
	int rc = want && r->may_set ? apply(tid, want) : 0;

	if (rc)
		reasons_note(r->warnings, "affinity or scheduling of %s %s%u could not be restored: %s",
			     role_name(role), name, index, strerror(-rc));
	if (want)
		place(tid, want, r->warnings);
}

/**
 * threads_restore() - give a successor's threads what their predecessors had
 * @state:	 with the records that threads_save() wrote
 * @may_set:	 false where a seccomp filter kills who tries; it is never found out by trying
 * @deadline_ns: CLOCK_MONOTONIC
 * @warnings:	 what could not be done
 */
void threads_restore(const struct cprstate *state, bool may_set, uint64_t deadline_ns, struct reasons *warnings)
{
	struct restore r = { .state = state, .warnings = warnings, .may_set = may_set };

	each(restore_one, &r, deadline_ns);
	if (!may_set && state->thread_count)
		reasons_note(warnings,
			     "-sandbox resourcecontrol=deny: affinity and scheduling of vCPU and I/O threads were "
			     "not restored");
}
