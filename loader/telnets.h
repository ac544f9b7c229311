/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * telnets.h - telnet clients of character devices.
 *
 * QEMU greets one with what it wants, when it has accepted it. The client has heard that once: the new QEMU's greeting is
 * taken from the client's decoy and dropped. What was read of a command of the client's that is not complete is read
 * again, before all else that comes from the client (shim/session.h).
 */
#ifndef CPRSHIM_LOADER_TELNETS_H
#define CPRSHIM_LOADER_TELNETS_H

#include <stdint.h>

#include "../state/cprstate.h"
#include "plan.h"
#include "reasons.h"

void telnets_check(const struct plan *plan, const json_t *chardevs, struct reasons *blockers);
void telnets_put(struct codec_writer *w, const struct plan *plan);
int telnets_adopt(const struct cprstate *state);
void telnets_wait(uint64_t deadline_ns, struct reasons *warnings);

#endif
