/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mux.h - what was typed at a multiplexer (-nographic, mux=on) or at a monitor on a terminal, as far as it matters to
 * what will be: who has the focus, timestamps, half a line.
 *
 * QEMU cannot be asked for any of it. The same keys lead a new QEMU there, while decoys are under its terminals; nobody
 * sees what it prints for them.
 */
#ifndef CPRSHIM_LOADER_MUX_H
#define CPRSHIM_LOADER_MUX_H

#include <stdint.h>

#include "../state/cprstate.h"
#include "plan.h"

void mux_save(struct codec_writer *w, const struct plan *plan);
void mux_restore(const struct cprstate *state, uint64_t deadline_ns);

#endif
