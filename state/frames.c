/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* frames.c - where a stream of QEMU's network packets stands; see frames.h. */
#include "frames.h"

/**
 * frames_feed() - bytes that have passed
 * @f:	  the direction
 * @data: the bytes
 * @len:  how many
 *
 * Return: how many of them, at the end of @data, belong to a packet that is not complete.
 */
size_t frames_feed(struct frames *f, const uint8_t *data, size_t len)
{
	size_t at = 0, begin = 0;

	while (at < len && !f->broken) {
		if (f->have < FRAMES_LENGTH) {
			f->left = f->left << 8 | data[at++];
			f->size = f->left;
			f->broken = ++f->have == FRAMES_LENGTH && f->left > FRAMES_PACKET;
		} else {
			size_t take = f->left < len - at ? f->left : len - at;

			at += take;
			f->left -= (uint32_t)take;
		}
		if (f->have == FRAMES_LENGTH && !f->left) {
			f->have = 0;
			f->seen |= f->size >= FRAMES_LEAST;
			begin = at;
		}
	}
	f->seen &= !f->broken;
	return f->broken ? 0 : len - begin;
}

/** frames_between() - has the last packet passed as a whole? */
bool frames_between(const struct frames *f)
{
	return !f->have && !f->broken;
}
