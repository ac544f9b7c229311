/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rehearsal.h - a successor that is brought up beside the running guest, and thrown away.
 *
 * The new QEMU with the VM's real command line, as far as it comes without the device state: machine, devices and their
 * options, images, firmware, names and sizes of RAM blocks. It takes over the same state as a real one, with decoys
 * under every descriptor, and has memory of its own that it hardly touches. What it would write or bind leads nowhere
 * (guard_is_beside()); images are opened as for an incoming migration, unlocked and not written. So nothing outside it
 * changes, and the guest runs all the while. A full one loads the device state too, against a view of the guest's memory
 * (standstill.h).
 */
#ifndef CPRSHIM_LOADER_REHEARSAL_H
#define CPRSHIM_LOADER_REHEARSAL_H

#include <stdbool.h>

#include "forecast.h"
#include "handover.h"
#include "plan.h"
#include "reasons.h"

/**
 * struct rehearsal - how far it goes
 * @full:   the device state is loaded too
 * @max_ms: how long the guest may stand still for that
 */
struct rehearsal {
	bool full;
	unsigned int max_ms;
};

json_t *rehearsal_json(const struct measured *m, const struct plan *plan);
int rehearsal_run(const struct handover *of, struct plan *plan, const struct rehearsal *how, struct measured *ret,
		  struct reasons *reasons);

#endif
