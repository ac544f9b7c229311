/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_frames.c - packets after their lengths, in pieces of any size. */
#include "state/frames.h"

#include "test/unit/tap.h"

#include <stdlib.h>
#include <string.h>

/* Packets of 1, 0 and 300 bytes, and the first 5 of one of 9. */
static size_t make_stream(uint8_t *out)
{
	static const uint32_t lengths[] = { 1, 0, 300, 9 };
	size_t n = 0;

	for (size_t i = 0; i < 4; i++) {
		uint8_t head[] = { 0, 0, (uint8_t)(lengths[i] >> 8), (uint8_t)lengths[i] };

		memcpy(out + n, head, 4);
		memset(out + n + 4, 0xff, lengths[i]);
		n += 4 + lengths[i];
	}
	return n - 4;
}

/* Whatever the pieces: what is kept of the last, unfinished packet is its first 9 bytes, length included. */
static bool keeps_the_rest(const uint8_t *stream, size_t len, size_t piece)
{
	struct frames f = { 0 };
	size_t kept = 0;

	for (size_t at = 0; at < len; at += piece) {
		size_t some = len - at < piece ? len - at : piece;
		size_t tail = frames_feed(&f, stream + at, some);

		kept = tail < some ? tail : kept + tail;
	}
	return kept == 9 && !frames_between(&f) && !f.broken && f.left == 4;
}

static void test_pieces(void)
{
	static uint8_t stream[512];
	size_t len = make_stream(stream);
	bool all = true;

	for (size_t piece = 1; piece <= len; piece++)
		all &= keeps_the_rest(stream, len, piece);
	ok(all, "pieces of every size up to %zu", len);
}

static void test_ends(void)
{
	static const uint8_t rest[] = { 0xff, 0xff, 0xff, 0xff }, huge[] = { 0, 1, 0x10, 1 },
			     largest[] = { 0, 1, 0x10, 0 };
	static uint8_t stream[512];
	struct frames f = { 0 };

	ok(frames_between(&f), "nothing yet is between two packets");
	frames_feed(&f, stream, make_stream(stream));
	ok(!frames_between(&f), "half a packet is not");
	ok(frames_feed(&f, rest, 4) == 0 && frames_between(&f), "its other half ends it");
	ok(frames_feed(&f, largest, 4) == 4 && !f.broken, "the largest packet of QEMU's");
	f = (struct frames){ 0 };
	ok(frames_feed(&f, huge, 4) == 0 && f.broken && !frames_between(&f), "one byte more is no packet");
	ok(frames_feed(&f, largest, 4) == 0 && f.broken, "nor is what follows");
}

int main(void)
{
	test_pieces();
	test_ends();
	return tap_done();
}
