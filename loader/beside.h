/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * beside.h - a successor in a process of its own, beside the one that runs the guest: for a rehearsal (rehearsal.h), or to
 * have the guest (transfer.h).
 */
#ifndef CPRSHIM_LOADER_BESIDE_H
#define CPRSHIM_LOADER_BESIDE_H

#include <stdbool.h>

#include "handover.h"
#include "plan.h"

bool beside_possible(const struct plan *plan, bool for_show, char *ret_why, size_t size);
void beside_arrive(const struct cprstate *state);
int beside_spawn(const struct handover *h, int errors, pid_t *ret_pid);

#endif
