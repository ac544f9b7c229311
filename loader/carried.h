/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* carried.h - memory and descriptors that a successor gets by number: RAM blocks, descriptors, sets of them. */
#ifndef CPRSHIM_LOADER_CARRIED_H
#define CPRSHIM_LOADER_CARRIED_H

#include "../state/cprstate.h"
#include "execute.h"
#include "freeze.h"
#include "plan.h"

struct handover;

bool carried_is(const struct planned *p, const struct plan *plan);
int carried_park(struct handover *h, int fd);
int carried_put_ram(struct handover *h);
int carried_put_fds(struct handover *h, const struct freeze *f, const struct plan *plan);
void carried_put_awaited(struct handover *h, const struct plan *plan);
int carried_put_nbd(struct handover *h, const struct plan *plan);
int carried_put_fdsets(struct handover *h, const struct plan *plan);
void carried_keep(struct execution *e, const struct cprstate *state);

#endif
