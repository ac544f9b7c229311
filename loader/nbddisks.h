/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nbddisks.h - disks on NBD servers: will a successor, and the old QEMU on the way back, have them? */
#ifndef CPRSHIM_LOADER_NBDDISKS_H
#define CPRSHIM_LOADER_NBDDISKS_H

#include "../state/cprstate.h"
#include "plan.h"
#include "reasons.h"

void nbddisks_check(const struct plan *plan, uint64_t deadline_ns, struct reasons *reasons);
int nbddisks_adopt(const struct cprstate *state);
void nbddisks_release(const struct cprstate *state);

#endif
