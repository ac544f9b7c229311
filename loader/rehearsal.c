/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rehearsal.c - a successor for show; see rehearsal.h. What it does there is in successor.c. */
#include "rehearsal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/moved.h"
#include "../shim/slots.h"
#include "beside.h"
#include "carried.h"
#include "channel.h"
#include "child.h"
#include "confined.h"
#include "ondisk.h"
#include "partners.h"
#include "qmp.h"
#include "standstill.h"

#define PREPARE_MS 10000

static void tell(int rc, int errors, struct reasons *reasons)
{
	char last[JOURNAL_REASON];
	ssize_t n = pread(errors, last, sizeof(last) - 1, 0);

	last[n > 0 ? n : 0] = '\0';
	last[strcspn(last, "\n")] = '\0';
	if (vm.journal && vm.journal->reason[0])
		reasons_add(reasons, BLOCKER_REHEARSAL_FAILED, "rehearsed: %s%s", vm.journal->reason,
			    confined_hint(vm.journal->reason));
	else if (rc == -ETIMEDOUT)
		reasons_add(reasons, BLOCKER_REHEARSAL_FAILED, "rehearsed: the new QEMU did not come up in time%s%s",
			    *last ? ": " : "", last);
	else
		reasons_add(reasons, BLOCKER_REHEARSAL_FAILED,
			    "rehearsed: the new QEMU ended before it could tell why%s%s%s", *last ? ": " : "", last,
			    confined_hint(last));
}

/* From its start to its monitor's answer, in milliseconds; negative where it did not come so far. */
static double took(const struct journal *j)
{
	return j->moment[JOURNAL_UP] > j->moment[JOURNAL_EXEC]
		       ? (double)(j->moment[JOURNAL_UP] - j->moment[JOURNAL_EXEC]) / 1e6
		       : -1;
}

/**
 * rehearsal_run() - bring a successor up, and throw it away
 * @of:	     what a real one would be given, as far as it is known while the guest runs
 * @plan:    what becomes of the descriptors; a full one makes it again
 * @how:     how far it goes
 * @ret:     what it took
 * @reasons: why it would not have come up
 *
 * On the service thread. Takes as long as the new QEMU takes to start.
 *
 * Return: 0 where it was tried, -EBADF where a descriptor is no longer what the plan says, or another negative errno.
 */
int rehearsal_run(const struct handover *of, struct plan *plan, const struct rehearsal *how, struct measured *ret,
		  struct reasons *reasons)
{
	static const struct freeze nothing_held = FREEZE_INIT;
	struct handover *h = calloc(1, sizeof(*h));
	int errors = slots_memfd("cprshim-rehearsal"), rc = h && errors >= 0 ? 0 : -ENOMEM;
	struct reasons unsaid = REASONS_INIT;
	int channel[2] = { -1, -1 };
	pid_t pid = -1;

	if (h) {
		handover_begin_like(h, of);
		h->kind = HANDOVER_REHEARSAL;
	}
	if (!rc && how->full)
		rc = channel_make(channel);
	if (!rc)
		h->channel = channel[1];
	if (!rc)
		rc = vm_new_journal();
	if (!rc)
		rc = ondisk_hold(plan, &unsaid);
	if (!rc)
		rc = handover_write_beside(h, &nothing_held, plan, qmp_in_ms(PREPARE_MS));
	if (!rc)
		rc = beside_spawn(h, errors, &pid);
	slots_close(channel[1]);
	/* No longer than is needed: what the running QEMU opens now is what it asks for. */
	moved_release();
	reasons_free(&unsaid);
	if (!rc) {
		struct reasons ours = REASONS_INIT;

		if (how->full && channel_hears(channel[0], CHANNEL_UP, qmp_in_ms(of->timeout_s * 1000)))
			standstill_try(h, plan, channel[0], pid, how->max_ms, ret, &ours);
		int end = child_wait(pid, (int)of->timeout_s * 1000);

		if (end && !reasons_any(&ours))
			tell(end, errors, reasons);
		reasons_move(reasons, &ours);
		ret->startup = took(vm.journal);
	}
	slots_close(channel[0]);
	vm_drop_journal();
	slots_close(errors);
	if (h)
		handover_release(h);
	free(h);
	return rc;
}

/** rehearsal_json() - what was rehearsed, what that took, and what was not rehearsed; a new reference */
json_t *rehearsal_json(const struct measured *m, const struct plan *plan)
{
	bool full = m->load >= 0;
	json_t *not_done = json_array(),
	       *result = json_pack("{s:s, s:f}", "kind", full ? "full" : "first", "startup_ms", m->startup);
	int carried = 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];
		const char *what;

		carried += carried_is(p, plan);
		if (p->partner && partners_rehearsable(p->it.fd, &what))
			json_array_append_new(not_done, json_sprintf("talking to %s: another stood for it", what));
	}
	if (!full)
		json_array_append_new(not_done, json_string("saving the devices' state, and loading it"));
	if (carried)
		json_array_append_new(not_done, json_sprintf("handing over %d descriptor%s: others stood for them",
							     carried, carried == 1 ? "" : "s"));
	json_array_append_new(not_done, json_string("taking the images over: they were opened, and not used"));
	json_array_append_new(not_done, json_string("the exec in the VM's own process, and the guest's going on"));
	json_object_set_new(result, "not_rehearsed", not_done);
	if (!full)
		return result;
	if (m->standstill >= 0)
		json_object_set_new(result, "blackout_ms", json_real(m->standstill));
	json_object_set_new(result, "phases",
			    json_pack("{s:f, s:f, s:f}", "stop", m->stop, "save", m->save, "load", m->load));
	return result;
}
