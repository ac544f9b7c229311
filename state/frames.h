/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * frames.h - where a stream of QEMU's network packets stands.
 *
 * A network back end over a stream socket sends each packet after its length in four bytes, big-endian (net/socket.c,
 * net/stream.c). Half a packet that one program has read or written, and the next does not know of, would shift all that
 * follows.
 */
#ifndef CPRSHIM_STATE_FRAMES_H
#define CPRSHIM_STATE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMES_LENGTH 4u
#define FRAMES_LEAST  14u    /* of an Ethernet packet */
#define FRAMES_PACKET 69632u /* QEMU ends a connection that sends a larger one (NET_BUFSIZE, net_fill_rstate) */
#define FRAMES_MAX    (FRAMES_LENGTH + FRAMES_PACKET)

/**
 * struct frames - one direction of a connection; all-zero at its beginning
 * @have:   bytes of the length that have passed; 0 between two packets
 * @left:   once the length is known: bytes of the packet that are to come
 * @size:   of the packet that is passing
 * @seen:   a packet has passed that can be one
 * @broken: these are no packets
 */
struct frames {
	uint32_t have;
	uint32_t left;
	uint32_t size;
	bool seen;
	bool broken;
};

size_t frames_feed(struct frames *f, const uint8_t *data, size_t len);
bool frames_between(const struct frames *f);

#endif
