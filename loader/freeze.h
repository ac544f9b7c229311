/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * freeze.h - nobody but us moves the guest.
 *
 * Other monitor clients act between our commands, and a serial port takes input even after the save. So decoys go under
 * whatever could bring either, before the guest is stopped (halt.h): listeners, then clients, terminals and taps. What QEMU
 * writes to them is forwarded. All of it can be undone until the exec.
 */
#ifndef CPRSHIM_LOADER_FREEZE_H
#define CPRSHIM_LOADER_FREEZE_H

#include <stdbool.h>

#include "halt.h"
#include "plan.h"
#include "wire.h"

#define FREEZE_MAX 256

/**
 * struct freeze - what has been done
 * @held:     decoys in place
 * @held_count: how many
 * @monitor:  it is a monitor's
 * @pending:  what was written to each and there was no room for
 * @gated:    listeners are held, the first @gate_count of them
 * @stop_is_shown: the guest is to stay stopped, so users are told that it is
 * @halt:     the guest itself
 */
struct freeze {
	struct decoy held[FREEZE_MAX];
	size_t held_count;
	bool monitor[FREEZE_MAX];
	struct wire pending[FREEZE_MAX];
	bool gated;
	size_t gate_count;
	bool stop_is_shown;
	struct halt halt;
};

#define FREEZE_INIT               \
	{                         \
		.halt = HALT_INIT \
	}

int freeze_gates(struct freeze *f, const struct plan *plan, uint64_t deadline_ns);
int freeze_inputs(struct freeze *f, const struct plan *plan, uint64_t deadline_ns);
int freeze_collect(struct freeze *f, struct reasons *reasons);
int freeze_collect_late(struct freeze *f, struct reasons *reasons);
void freeze_release_inputs(struct freeze *f);
void freeze_undo(struct freeze *f, bool running);
const struct wire *freeze_pending(const struct freeze *f, int fd);
const struct decoy *freeze_decoy(const struct freeze *f, int fd);

#endif
