/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * revive.h - in the guardian: start the old binary in a process of its own, and again where that ends before it has run the
 * guest.
 *
 * What keeps it from starting may be gone in a moment: a disk's server, memory, a limit, a lock. So the guardian stays, with
 * all that was handed over, and tries for as long as it takes, or until somebody ends it (SIGTERM, SIGINT, SIGHUP). Each try
 * has the same state and the same descriptors; what it learned and did is in the journal.
 */
#ifndef CPRSHIM_LOADER_REVIVE_H
#define CPRSHIM_LOADER_REVIVE_H

#include <stdbool.h>

struct execution;

void revive_begin(struct execution *e);
bool revive(struct execution *e);
void revive_give_up(struct execution *e);

#endif
