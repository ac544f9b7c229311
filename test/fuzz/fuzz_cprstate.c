/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_cprstate.c - libFuzzer on the CPR state's decoder; see run.
 *
 * The header's length and checksum are made to fit, so that the fuzzer reaches what comes after them. All that an
 * accepted state points to is read.
 */
#include "state/cprstate.h"

#include <stdlib.h>
#include <string.h>

#define AT_LENGTH 16
#define AT_CRC	  28

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cprstate state;
static volatile uint32_t sink;

#define RECORD(number, name, max)                             \
	static void read_##name(const struct cpr_##name *rec) \
	{                                                     \
		uint32_t sum = 0;
#define U32(field)   sum += rec->field;
#define I32(field)   sum += (uint32_t)rec->field;
#define U64(field)   sum += (uint32_t)rec->field;
#define STR(field)   sum += (uint32_t)strlen(rec->field);
#define BYTES(field) sum += codec_crc32c(0, rec->field.data, rec->field.len);
#define END(name)   \
	sink = sum; \
	}
#include "state/records.def"
#undef RECORD
#undef U32
#undef I32
#undef U64
#undef STR
#undef BYTES
#undef END
#define U32(field)
#define I32(field)
#define U64(field)
#define STR(field)
#define BYTES(field)
#define END(name)

static void fix_header(uint8_t *buf, size_t size)
{
	struct codec_writer length = { .buf = buf + AT_LENGTH, .size = 8 },
			    checksum = { .buf = buf + AT_CRC, .size = 4 };

	codec_put_u64(&length, size);
	codec_put_u32(&checksum, codec_crc32c(codec_crc32c(0, buf, AT_CRC), buf + AT_CRC + 4, size - AT_CRC - 4));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *buf = malloc(size ? size : 1);
	const char *why;

	if (!buf)
		return 0;
	memcpy(buf, data, size);
	if (size >= CPRSTATE_HEADER)
		fix_header(buf, size);
	if (cprstate_decode(&state, buf, size, &why) == 0) {
#define RECORD(number, name, max)                         \
	for (uint32_t i = 0; i < state.name##_count; i++) \
		read_##name(&state.name[i]);
#include "state/records.def"
#undef RECORD
	}
	free(buf);
	return 0;
}
