/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * channel.h - what the QEMU that runs the guest and another one beside it say to each other.
 *
 * A pair of sockets that keep messages apart. Each end is one of ours. The end of one process is the end of file of the other.
 */
#ifndef CPRSHIM_LOADER_CHANNEL_H
#define CPRSHIM_LOADER_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "../state/cprstate.h"

#define CHANNEL_FDS 3

/* What is said: by the successor, but for one. */
enum channel_word {
	CHANNEL_UP = 'U',      /* it waits for the device state */
	CHANNEL_LOADED = 'L',  /* it has loaded it */
	CHANNEL_CHECKED = 'C', /* by the old QEMU: it stood still as it should when it gave the state away */
	CHANNEL_RUNS = 'R',    /* the guest runs there, or is there to stay */
};

/* What the successor is given. */
enum channel_gift {
	CHANNEL_STATE = 1,  /* the CPR state, of all but the devices */
	CHANNEL_STREAM = 2, /* the devices' */
	CHANNEL_BEGIN = 3,  /* library, CPR state and parcel: become a successor that begins with them (original.h) */
	CHANNEL_LEAVE = 4,  /* nothing: the guest stays with the stand-in, whose VM this process is no more */
	CHANNEL_STOPS = 5,  /* nothing: the guest is about to stop */
};

/**
 * struct channel_message - with as many descriptors as @fds says
 * @gift:	  enum channel_gift
 * @fds:	  how many
 * @number:	  CHANNEL_BEGIN: which numbers they are to have
 * @length, @crc: CHANNEL_STREAM: of the devices' state
 */
struct channel_message {
	uint32_t gift;
	uint32_t fds;
	int32_t number[CHANNEL_FDS];
	uint32_t crc;
	uint64_t length;
};

int channel_make(int ret_pair[2]);
void channel_say(int channel, enum channel_word word);
bool channel_hears(int channel, enum channel_word word, uint64_t until_ns);
int channel_give(int channel, struct channel_message *message, const int fds[CHANNEL_FDS]);
int channel_receive(int channel, struct channel_message *ret, int ret_fds[CHANNEL_FDS]);
int channel_give_state(int channel, int state_fd);
int channel_give_stream(int channel, const struct cpr_stream *stream);

#endif
