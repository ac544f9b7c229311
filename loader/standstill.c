/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* standstill.c - the guest stands still for a rehearsal; see standstill.h. */
#include "standstill.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "channel.h"
#include "clock.h"
#include "preflight.h"
#include "qmp.h"
#include "ramblocks.h"
#include "warm.h"

#define STEP_MS 30000

/* From here on nobody but us moves the guest, and what the check has found is still so. */
static bool hold(struct freeze *f, struct handover *h, struct plan *plan, uint64_t deadline, struct reasons *reasons)
{
	int rc = freeze_gates(f, plan, deadline);

	if (!rc) {
		plan_free(plan);
		rc = preflight_plan(plan, deadline, reasons);
	}
	if (!rc)
		rc = freeze_inputs(f, plan, deadline);
	if (rc) {
		reasons_add(reasons, BLOCKER_INPUTS_HELD, "the guest's inputs could not be held: %s", strerror(-rc));
		return false;
	}
	plan_free(plan);
	preflight_vm(plan, &h->running, reasons);
	return !reasons_any(reasons) && !ramblocks_query(h->blocks, &h->block_count, deadline, reasons);
}

static bool load(struct handover *h, const struct freeze *f, int channel, uint64_t until, unsigned int max_ms,
		 struct reasons *reasons)
{
	struct cpr_stream stream;
	int rc = handover_stream(h, f->halt.state_fd, &stream);

	if (!rc)
		rc = channel_give_stream(channel, &stream);
	if (rc) {
		reasons_add(reasons, BLOCKER_STATE_WRITE, "the state could not be written: %s", strerror(-rc));
		return false;
	}
	if (channel_hears(channel, CHANNEL_LOADED, until))
		return true;
	if (clock_now() >= until)
		reasons_add(reasons, BLOCKER_BLACKOUT_TOO_LONG,
			    "rehearsed: the new QEMU had not loaded the state when the guest had stood still for %u ms",
			    max_ms);
	return false;
}

static double ms_between(enum journal_moment from, enum journal_moment to)
{
	const uint64_t *m = vm.journal->moment;

	return m[from] && m[to] > m[from] ? (double)(m[to] - m[from]) / 1e6 : 0;
}

/**
 * standstill_try() - have the successor load the state of the guest's devices
 * @h:	      its handover; blocks and run state are brought up to date
 * @plan:     is made again
 * @channel:  our end
 * @pid:      the successor, which is killed before the guest goes on where it has not loaded the state
 * @max_ms:   how long the guest may stand still: the load is given up then
 * @ret:      what it took
 * @reasons:  what went wrong; what the successor itself has to say is in the journal
 *
 * Return: true where it was loaded.
 */
bool standstill_try(struct handover *h, struct plan *plan, int channel, pid_t pid, unsigned int max_ms,
		    struct measured *ret, struct reasons *reasons)
{
	struct freeze *f = calloc(1, sizeof(*f));
	uint64_t deadline = qmp_in_ms(STEP_MS);
	bool loaded = false;

	if (!f)
		return false;
	*f = (struct freeze)FREEZE_INIT;
	f->halt.keeps_images = true;
	preflight_flush(plan, reasons);
	warm_program();
	if (!reasons_any(reasons) && hold(f, h, plan, deadline, reasons)) {
		int rc = halt_foresee(&f->halt, h->running, false);
		uint64_t until = qmp_in_ms(max_ms);

		if (rc)
			reasons_add(reasons, BLOCKER_STATE_SAVE, "no memory for the device state: %s", strerror(-rc));
		loaded = !rc && !halt_stop(&f->halt, h->running, deadline, reasons) &&
			 !halt_save(&f->halt, deadline, reasons) && !halt_check(&f->halt, deadline, reasons) &&
			 load(h, f, channel, until, max_ms, reasons);
	}
	if (!loaded)
		kill(pid, SIGKILL);
	freeze_undo(f, h->running);
	ret->stop = ms_between(JOURNAL_STOPPING, JOURNAL_STOPPED);
	ret->save = ms_between(JOURNAL_STOPPED, JOURNAL_SAVED);
	ret->load = ms_between(JOURNAL_REMAPPED, JOURNAL_LOADED);
	if (h->running && vm.journal->moment[JOURNAL_STOPPING])
		ret->standstill = ms_between(JOURNAL_STOPPING, JOURNAL_RUNNING);
	free(f);
	return loaded;
}
