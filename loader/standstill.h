/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * standstill.h - the second half of a full rehearsal: the devices' real state is loaded into the successor for show.
 *
 * The guest is held as for an update, stands still for save and load, and goes on in this program whatever comes of it:
 * a view of memory that moves on would give false verdicts. Its images stay this QEMU's all the while.
 */
#ifndef CPRSHIM_LOADER_STANDSTILL_H
#define CPRSHIM_LOADER_STANDSTILL_H

#include "forecast.h"
#include "handover.h"
#include "plan.h"
#include "reasons.h"

bool standstill_try(struct handover *h, struct plan *plan, int channel, pid_t pid, unsigned int max_ms,
		    struct measured *ret, struct reasons *reasons);

#endif
