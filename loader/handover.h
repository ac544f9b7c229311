/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* handover.h - everything the successor needs, written into the CPR state and the migration stream. */
#ifndef CPRSHIM_LOADER_HANDOVER_H
#define CPRSHIM_LOADER_HANDOVER_H

#include <stdbool.h>

#include "../state/ramblock.h"
#include "execute.h"
#include "freeze.h"
#include "vm.h"

/* RAM blocks, descriptors and members of descriptor sets (state/records.def) */
#define HANDOVER_PARKED 1024

enum handover_kind {
	HANDOVER_EXEC,
	HANDOVER_REHEARSAL, /* for a successor beside the VM, which is thrown away */
	HANDOVER_TRANSFER,  /* for a successor beside the VM, which is to have it */
	HANDOVER_GIVEN,	    /* what that successor gets when it is up: what has moved on since, and the devices */
};

/**
 * struct handover - what is known before the freeze, and what is made of it
 * @running, @hold: the guest runs; it is to be held after the update
 * @kind:      what it is for
 * @how:       CPR_TRANSFER_*
 * @to:	       where another process waits for it, or NULL
 * @original:  channel to the process that the guest is to go back to, or -1
 * @relayed:   how it came here from that, or NULL
 * @method_why: what the method was taken for (method.h)
 * @channel:   by which a successor beside the VM gets the devices' state, or -1
 * @blocks, @block_count: RAM blocks
 * @target:	    the replacement
 * @back:	    how the running QEMU is started again
 * @timeout_s:	    for the successor
 * @started_ms, @started_ns: when the update began, by both clocks
 * @requester:	    connection that waits for the outcome, or -1
 * @warnings:	    so far
 * @w:		    the state being written
 * @state_fd, @stream_fd: memfds, or -1
 * @stream:	    what is in @stream_fd
 * @room:	    where it is put together, or NULL
 * @variable:	    how the next program learns of the state
 * @parcel:	    what they go through a command in, or -1
 * @parked, @parked_count: numbers of ours for what is handed over without a decoy
 */
struct handover {
	bool running;
	bool hold;
	enum handover_kind kind;
	uint32_t how;
	const char *to;
	int original;
	const char *relayed;
	const char *method_why;
	int channel;
	struct ramblock blocks[RAMBLOCK_MAX];
	size_t block_count;
	struct vm_binary target;
	struct vm_binary back;
	unsigned int timeout_s;
	uint64_t started_ms;
	uint64_t started_ns;
	int requester;
	struct reasons *warnings;
	struct codec_writer w;
	int state_fd;
	int stream_fd;
	struct cpr_stream stream;
	uint8_t *room;
	int parked[HANDOVER_PARKED];
	size_t parked_count;
	struct execution exec;
	int parcel;
	char variable[32];
};

void handover_begin(struct handover *h, unsigned int timeout_s);
void handover_begin_like(struct handover *h, const struct handover *of);
int handover_prepare(struct handover *h, uint64_t deadline_ns);
int handover_make_room(struct handover *h);
int handover_write_beside(struct handover *h, const struct freeze *f, const struct plan *plan, uint64_t deadline_ns);
int handover_write(struct handover *h, struct freeze *f, const struct plan *plan, struct reasons *reasons);
int handover_stream(struct handover *h, int saved_fd, struct cpr_stream *ret);
void handover_release(struct handover *h);

#endif
