/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_codec.c - bounded fields: what is written is read again, nothing goes past an end, and failures stay. */
#include "state/codec.h"

#include "test/unit/tap.h"

#include <string.h>

static void test_integers(void)
{
	static const uint8_t expected[] = { 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 0xf0,
					    0xde, 0xbc, 0x9a, 0x78, 0x56, 0x34, 0x12 };
	uint8_t buf[sizeof(expected)];
	struct codec_writer w = { .buf = buf, .size = sizeof(buf) };

	codec_put_u16(&w, 0x1234);
	codec_put_u32(&w, 0x12345678);
	codec_put_u64(&w, UINT64_C(0x123456789abcdef0));
	ok(!w.failed && w.len == sizeof(expected) && !memcmp(buf, expected, w.len), "integers are little-endian");
	struct codec_reader r = { .buf = buf, .size = w.len };
	ok(codec_get_u16(&r) == 0x1234 && codec_get_u32(&r) == 0x12345678 &&
		   codec_get_u64(&r) == UINT64_C(0x123456789abcdef0) && !r.failed && r.at == r.size,
	   "and read again");
	ok(codec_get_u16(&r) == 0 && r.failed, "beyond the end is 0 and a failure");
	r = (struct codec_reader){ .buf = buf, .size = 3 };
	ok(codec_get_u32(&r) == 0 && r.failed, "a field that is cut off is 0 and a failure");
	ok(codec_get_u16(&r) == 0 && r.failed && r.at == 0, "after a failure nothing is read, even where it would fit");
}

static void test_strings(void)
{
	static const uint8_t expected[] = "\3\0\0\0abc\0\0\0\0\0"; /* the literal's own end is the last zero byte */
	uint8_t buf[64];
	struct codec_writer w = { .buf = buf, .size = sizeof(buf) };

	codec_put_str(&w, "abc");
	codec_put_str(&w, NULL);
	ok(!w.failed && w.len == 13 && !memcmp(buf, expected, w.len), "a string is its length, itself and a zero byte");
	struct codec_reader r = { .buf = buf, .size = w.len };
	const char *abc = codec_get_str(&r), *empty = codec_get_str(&r);
	ok(!r.failed && !strcmp(abc, "abc") && (const uint8_t *)abc == buf + 4, "it is read where it lies");
	ok(!strcmp(empty, "") && r.at == r.size, "NULL is an empty string");
	for (size_t size = 0; size < 8; size++) {
		struct codec_reader cut = { .buf = buf, .size = size };

		ok(!strcmp(codec_get_str(&cut), "") && cut.failed, "%zu bytes of it are none", size);
	}
	buf[7] = 'x';
	r = (struct codec_reader){ .buf = buf, .size = 13 };
	ok(!strcmp(codec_get_str(&r), "") && r.failed, "a string without a zero byte at its end is none");
	memcpy(buf, "\3\0\0\0a\0c", 8);
	r = (struct codec_reader){ .buf = buf, .size = 13 };
	ok(!strcmp(codec_get_str(&r), "") && r.failed, "a string with a zero byte inside is none");
}

static void test_bytes(void)
{
	uint8_t buf[16];
	struct codec_writer w = { .buf = buf, .size = sizeof(buf) };

	codec_put_bytes(&w, (struct cpr_bytes){ .data = (const uint8_t *)"a\0b", .len = 3 });
	codec_put_bytes(&w, (struct cpr_bytes){ .data = NULL });
	ok(!w.failed && w.len == 11, "bytes and no bytes are written");
	struct codec_reader r = { .buf = buf, .size = w.len };
	struct cpr_bytes three = codec_get_bytes(&r), none = codec_get_bytes(&r);
	ok(three.len == 3 && !memcmp(three.data, "a\0b", 3) && !none.len && !r.failed && r.at == r.size,
	   "and read again");
	static const uint32_t giant[] = { 12, 0x7fffffff, 0x80000000, UINT32_MAX - 4, UINT32_MAX };
	for (size_t i = 0; i < sizeof(giant) / sizeof(giant[0]); i++) {
		w = (struct codec_writer){ .buf = buf, .size = sizeof(buf) };
		codec_put_u32(&w, giant[i]);
		r = (struct codec_reader){ .buf = buf, .size = 15 };
		struct cpr_bytes got = codec_get_bytes(&r);
		struct codec_reader s = { .buf = buf, .size = 15 };
		ok(r.failed && !got.len && !got.data && !*codec_get_str(&s) && s.failed,
		   "a length of %u is more than there is", giant[i]);
	}
}

static void test_writer_limit(void)
{
	uint8_t buf[8] = { 0 };
	struct codec_writer w = { .buf = buf, .size = 5 };

	codec_put_u32(&w, 1);
	codec_put_u16(&w, 0x1111);
	ok(w.failed && w.len == 4 && !buf[4] && !buf[5], "what does not fit is not written in part");
	codec_put_raw(&w, "x", 1);
	ok(w.failed && w.len == 4 && !buf[4], "after a failure nothing is written, even where it would fit");
	w = (struct codec_writer){ .buf = buf, .size = 8 };
	codec_put_str(&w, "abc");
	ok(!w.failed && w.len == 8, "a string that fits exactly is written");
	w = (struct codec_writer){ .buf = buf, .size = 7 };
	codec_put_str(&w, "abc");
	ok(w.failed, "its zero byte counts");
}

/* Bit by bit, from the polynomial's definition: codec.c may use the processor's instruction. */
static uint32_t reference_crc(const uint8_t *bytes, size_t len)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < 8 * len; i++) {
		uint32_t bit = (bytes[i / 8] >> i % 8 ^ crc) & 1;

		crc = crc >> 1 ^ (bit ? UINT32_C(0x82f63b78) : 0);
	}
	return ~crc;
}

static void test_crc(void)
{
	uint8_t bytes[100];
	bool same = true, in_parts = true;

	/* RFC 3720, appendix B.4 */
	memset(bytes, 0, 32);
	ok(codec_crc32c(0, bytes, 32) == 0x8a9136aa, "32 zero bytes");
	memset(bytes, 0xff, 32);
	ok(codec_crc32c(0, bytes, 32) == 0x62a8ab43, "32 bytes of ones");
	ok(codec_crc32c(0, "123456789", 9) == 0xe3069283, "the check value");
	ok(codec_crc32c(0, "", 0) == 0, "no bytes");
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + 11);
	for (size_t at = 0; at < 9; at++)
		for (size_t len = 0; len < sizeof(bytes) - at; len++) {
			uint32_t whole = codec_crc32c(0, bytes + at, len);

			same = same && whole == reference_crc(bytes + at, len);
			in_parts = in_parts && codec_crc32c(codec_crc32c(0, bytes + at, len / 3), bytes + at + len / 3,
							    len - len / 3) == whole;
		}
	ok(same, "any length and alignment gives what the definition gives");
	ok(in_parts, "and so it does in two parts");
}

int main(void)
{
	test_integers();
	test_strings();
	test_bytes();
	test_writer_limit();
	test_crc();
	return tap_done();
}
