/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * freeze.h - stop the guest so that nobody but us moves it, and save its devices.
 *
 * Other monitor clients act between our commands, and a serial port takes input even after the save. So decoys go under
 * whatever could bring either, before "stop": listeners, then clients, terminals and taps. What QEMU writes to them is
 * forwarded. All of it can be undone until the exec.
 */
#ifndef CPRSHIM_LOADER_FREEZE_H
#define CPRSHIM_LOADER_FREEZE_H

#include <stdbool.h>

#include "plan.h"
#include "qmp.h"
#include "wire.h"

#define FREEZE_MAX 256

/**
 * struct freeze - what has been done
 * @held:     decoys in place
 * @held_count: how many
 * @monitor:  it is a monitor's
 * @pending:  what was written to each and there was no room for
 * @gated:    listeners are held, the first @gate_count of them
 * @stopped:  "stop" was sent to a running guest
 * @saving, @save: QEMU was told to write the device state, and has not answered
 * @saved:    device state was written, and the block nodes are inactive
 * @stop_is_shown: the guest is to stay stopped, so users are told that it is
 * @keeps_images: the save is for a rehearsal: QEMU does not let go of its images
 * @ringbufs: what was read out of ring buffers, or NULL
 * @state_fd: memfd with the saved state, or -1
 */
struct freeze {
	struct decoy held[FREEZE_MAX];
	size_t held_count;
	bool monitor[FREEZE_MAX];
	struct wire pending[FREEZE_MAX];
	bool gated;
	size_t gate_count;
	bool stopped;
	bool saving;
	struct qmp_call save;
	bool saved;
	bool stop_is_shown;
	bool keeps_images;
	json_t *ringbufs;
	int state_fd;
};

int freeze_gates(struct freeze *f, const struct plan *plan, uint64_t deadline_ns);
int freeze_inputs(struct freeze *f, const struct plan *plan, uint64_t deadline_ns);
int freeze_foresee(struct freeze *f, bool running);
int freeze_stop(struct freeze *f, bool running, bool save_at_once, uint64_t deadline_ns, struct reasons *reasons);
int freeze_save_begin(struct freeze *f, uint64_t deadline_ns, struct reasons *reasons);
int freeze_save_end(struct freeze *f, uint64_t deadline_ns, struct reasons *reasons);
int freeze_save(struct freeze *f, uint64_t deadline_ns, struct reasons *reasons);
int freeze_check(const struct freeze *f, uint64_t deadline_ns, struct reasons *reasons);
int freeze_ringbufs(struct freeze *f, uint64_t deadline_ns, struct reasons *reasons);
int freeze_collect(struct freeze *f, struct reasons *reasons);
int freeze_collect_late(struct freeze *f, struct reasons *reasons);
void freeze_release_inputs(struct freeze *f);
void freeze_undo(struct freeze *f, bool running);
const struct wire *freeze_pending(const struct freeze *f, int fd);
const struct decoy *freeze_decoy(const struct freeze *f, int fd);

#endif
