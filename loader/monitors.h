/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * monitors.h - in a successor: the sessions of monitors' clients go on.
 *
 * A new QEMU greets whoever it accepts and knows nothing of what was agreed before. Each client is stood in for by a
 * decoy until the guest runs: the greeting goes to it, it says what the client had said, and only then the client's own
 * connection goes under QEMU's number.
 */
#ifndef CPRSHIM_LOADER_MONITORS_H
#define CPRSHIM_LOADER_MONITORS_H

#include <stdbool.h>

#include "../shim/preserved.h"
#include "reasons.h"

bool monitors_is_one(const struct preserved *p);
void monitors_hand_over(struct reasons *warnings);

#endif
