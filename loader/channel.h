/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * channel.h - what the QEMU that runs the guest and a successor beside it say to each other.
 *
 * A pair of sockets that keep messages apart. Each end is one of ours. The end of one process is the end of file of the other.
 */
#ifndef CPRSHIM_LOADER_CHANNEL_H
#define CPRSHIM_LOADER_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "../state/cprstate.h"

/* What the successor says. */
enum channel_word {
	CHANNEL_UP = 'U',     /* it waits for the device state */
	CHANNEL_LOADED = 'L', /* it has loaded it */
	CHANNEL_RUNS = 'R',   /* the guest runs there, or is there to stay */
};

int channel_make(int ret_pair[2]);
void channel_say(int channel, enum channel_word word);
bool channel_hears(int channel, enum channel_word word, uint64_t until_ns);
int channel_offer(int channel, const struct cpr_stream *stream, int state_fd);
int channel_take(int channel, struct cpr_stream *ret_stream, int *ret_state_fd);

#endif
