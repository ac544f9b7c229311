/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * codec.h - bounded reading and writing of little- and big-endian fields.
 *
 * Both sides carry a "failed" flag, so that a caller checks once at the end. A reader never goes past its end; after a
 * failure it gives zeros and empty strings.
 */
#ifndef CPRSHIM_STATE_CODEC_H
#define CPRSHIM_STATE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpr_bytes {
	const uint8_t *data;
	uint32_t len;
};

struct codec_writer {
	uint8_t *buf; /* the caller's */
	size_t size;
	size_t len;
	bool failed;
};

struct codec_reader {
	const uint8_t *buf;
	size_t size;
	size_t at;
	bool failed;
};

void codec_put_u16(struct codec_writer *w, uint16_t value);
void codec_put_u32(struct codec_writer *w, uint32_t value);
void codec_put_u64(struct codec_writer *w, uint64_t value);
void codec_put_bytes(struct codec_writer *w, struct cpr_bytes bytes);
void codec_put_str(struct codec_writer *w, const char *str);
void codec_put_raw(struct codec_writer *w, const void *data, size_t len);
uint16_t codec_get_u16(struct codec_reader *r);
uint32_t codec_get_u32(struct codec_reader *r);
uint64_t codec_get_u64(struct codec_reader *r);
struct cpr_bytes codec_get_bytes(struct codec_reader *r);
const char *codec_get_str(struct codec_reader *r);
const uint8_t *codec_get_raw(struct codec_reader *r, size_t len);
uint32_t codec_crc32c(uint32_t crc, const void *data, size_t len);

#endif
