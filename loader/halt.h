/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * halt.h - the guest stops, and QEMU saves its devices; or it goes on.
 *
 * Nobody else moves it meanwhile (freeze.h).
 */
#ifndef CPRSHIM_LOADER_HALT_H
#define CPRSHIM_LOADER_HALT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "qmp.h"
#include "reasons.h"

/**
 * struct halt - what has been done
 * @at_once:  nothing is to be done between the stop and the save
 * @stopped:  a running guest was told to stop
 * @saving:   QEMU was told to write the device state, and has not said that it has
 * @save:     by which command, unless it is @at_once
 * @saved:    device state was written, and the block nodes are inactive
 * @keeps_images: the save is for a rehearsal: QEMU does not let go of its images
 * @ringbufs: what was read out of ring buffers, or NULL
 * @state_fd: memfd with the saved state, or -1
 */
struct halt {
	bool at_once;
	bool stopped;
	bool saving;
	struct qmp_call save;
	bool saved;
	bool keeps_images;
	json_t *ringbufs;
	int state_fd;
};

#define HALT_INIT              \
	{                      \
		.state_fd = -1 \
	}

int halt_foresee(struct halt *h, bool running, bool at_once);
int halt_stop(struct halt *h, bool running, uint64_t deadline_ns, struct reasons *reasons);
int halt_save_begin(struct halt *h, uint64_t deadline_ns, struct reasons *reasons);
int halt_save_end(struct halt *h, uint64_t deadline_ns, struct reasons *reasons);
int halt_save(struct halt *h, uint64_t deadline_ns, struct reasons *reasons);
int halt_check(const struct halt *h, uint64_t deadline_ns, struct reasons *reasons);
int halt_ringbufs(struct halt *h, uint64_t deadline_ns, struct reasons *reasons);
void halt_await(struct halt *h, uint64_t deadline_ns);
void halt_go_on(struct halt *h, bool running, uint64_t deadline_ns);
void halt_end(struct halt *h);

#endif
