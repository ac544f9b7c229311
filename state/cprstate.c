/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cprstate.c - the CPR state's records, written and decoded; see cprstate.h. */
#include "cprstate.h"

#include <errno.h>
#include <string.h>

/* Header fields that are known only at the end. */
#define AT_LENGTH  16
#define AT_RECORDS 24
#define AT_CRC	   28

static size_t record_begin(struct codec_writer *w, uint16_t type)
{
	codec_put_u16(w, type);
	codec_put_u16(w, CPRSTATE_REQUIRED);
	codec_put_u32(w, 0);
	return w->len;
}

static void patch_u32(struct codec_writer *w, size_t at, uint32_t value)
{
	struct codec_writer part = { .buf = w->buf + at, .size = 4 };

	codec_put_u32(&part, value);
}

static void record_end(struct codec_writer *w, size_t start)
{
	if (!w->failed)
		patch_u32(w, start - 4, (uint32_t)(w->len - start));
}

#define RECORD(number, name, max)                                                      \
	void cprstate_put_##name(struct codec_writer *w, const struct cpr_##name *rec) \
	{                                                                              \
		size_t start = record_begin(w, (number));
#define U32(field)   codec_put_u32(w, rec->field);
#define I32(field)   codec_put_u32(w, (uint32_t)rec->field);
#define U64(field)   codec_put_u64(w, rec->field);
#define STR(field)   codec_put_str(w, rec->field);
#define BYTES(field) codec_put_bytes(w, rec->field);
#define END(name)             \
	record_end(w, start); \
	}
#include "records.def"
#undef RECORD
#undef U32
#undef I32
#undef U64
#undef STR
#undef BYTES
#undef END

#define RECORD(number, name, max)                                                          \
	static int get_##name(struct codec_reader *r, struct cprstate *state)              \
	{                                                                                  \
		struct cpr_##name *rec = &state->name[state->name##_count];                \
		if (state->name##_count == (sizeof(state->name) / sizeof(state->name[0]))) \
			return -E2BIG;                                                     \
		state->name##_count++;
#define U32(field)   rec->field = codec_get_u32(r);
#define I32(field)   rec->field = (int32_t)codec_get_u32(r);
#define U64(field)   rec->field = codec_get_u64(r);
#define STR(field)   rec->field = codec_get_str(r);
#define BYTES(field) rec->field = codec_get_bytes(r);
#define END(name)                                            \
	return r->failed || r->at != r->size ? -EBADMSG : 0; \
	}
#include "records.def"
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
static const struct {
	uint16_t type;
	int (*get)(struct codec_reader *r, struct cprstate *state);
} decoders[] = {
#define RECORD(number, name, max) { (number), get_##name },
#include "records.def"
#undef RECORD
};

/* Of all bytes but the checksum's own. */
static uint32_t checksum(const uint8_t *buf, size_t len)
{
	uint32_t crc = codec_crc32c(0, buf, AT_CRC);

	return codec_crc32c(crc, buf + AT_CRC + 4, len - AT_CRC - 4);
}

/**
 * cprstate_begin() - begin to write a state
 * @w:	  the writer
 * @buf:  the caller's memory
 * @size: its size
 */
void cprstate_begin(struct codec_writer *w, uint8_t *buf, size_t size)
{
	*w = (struct codec_writer){ .buf = buf, .size = size };
	codec_put_u64(w, CPRSTATE_MAGIC);
	codec_put_u32(w, CPRSTATE_VERSION);
	codec_put_u32(w, CPRSTATE_COMPAT);
	codec_put_u64(w, 0); /* length */
	codec_put_u32(w, 0); /* records */
	codec_put_u32(w, 0); /* checksum */
	codec_put_u32(w, 0); /* reserved */
}

/**
 * cprstate_end() - finish a state: length, number of records and checksum
 * @w: the writer; w->len bytes at w->buf are the state
 *
 * Return: 0, or -ENOSPC where it did not fit.
 */
int cprstate_end(struct codec_writer *w)
{
	struct codec_writer length = { .buf = w->buf + AT_LENGTH, .size = 8 };
	size_t at = CPRSTATE_HEADER;
	uint32_t records = 0;

	if (w->failed)
		return -ENOSPC;
	while (at < w->len) {
		struct codec_reader head = { .buf = w->buf + at + 4, .size = 4 };

		at += 8 + codec_get_u32(&head);
		records++;
	}
	codec_put_u64(&length, w->len);
	patch_u32(w, AT_RECORDS, records);
	patch_u32(w, AT_CRC, checksum(w->buf, w->len));
	return 0;
}

static int decode_record(struct cprstate *ret, struct codec_reader *r, const char **ret_why)
{
	uint16_t type = codec_get_u16(r);
	uint16_t flags = codec_get_u16(r);
	uint32_t len = codec_get_u32(r);
	const uint8_t *payload = codec_get_raw(r, len);
	struct codec_reader part = { .buf = payload, .size = len };

	*ret_why = "a record is cut off";
	if (!payload)
		return -EBADMSG;
	for (size_t i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++) {
		if (decoders[i].type != type)
			continue;
		int rc = decoders[i].get(&part, ret);
		*ret_why = rc == -E2BIG ? "it has too many records of one type"
					: "a record does not hold what its type says";
		return rc;
	}
	*ret_why = "it has a record of a type that this version does not know and must understand";
	return flags & CPRSTATE_REQUIRED ? -EPROTONOSUPPORT : 0;
}

/** cprstate_versions() - what this library writes and reads */
struct cprstate_versions cprstate_versions(void)
{
	return (struct cprstate_versions){ .version = CPRSTATE_VERSION, .compat = CPRSTATE_COMPAT };
}

/** cprstate_understood() - does one library take a state that another has written? */
bool cprstate_understood(struct cprstate_versions reader, struct cprstate_versions writer)
{
	return writer.compat <= reader.version && writer.version >= reader.compat;
}

static int decode_header(struct codec_reader *r, size_t len, uint32_t *ret_records, const char **ret_why)
{
	uint64_t magic = codec_get_u64(r);
	struct cprstate_versions writer = { .version = codec_get_u32(r) };

	writer.compat = codec_get_u32(r);
	uint64_t length = codec_get_u64(r);
	uint32_t records = codec_get_u32(r);
	uint32_t crc = codec_get_u32(r);

	codec_get_u32(r);
	*ret_why = "it is no CPR state";
	if (r->failed || magic != CPRSTATE_MAGIC)
		return -EBADMSG;
	*ret_why = "its version is not known";
	if (!cprstate_understood(cprstate_versions(), writer))
		return -EPROTONOSUPPORT;
	*ret_why = "its length is not what its header says";
	if (length != len || len > CPRSTATE_MAX)
		return -EBADMSG;
	*ret_why = "its checksum is wrong";
	if (crc != checksum(r->buf, r->size))
		return -EBADMSG;
	*ret_records = records;
	return 0;
}

/* Most of it is room for more records than there are: whatever is there stays. The first ones are zero where there is none. */
static void clear(struct cprstate *state)
{
#define RECORD(number, name, max)                           \
	memset(&state->name[0], 0, sizeof(state->name[0])); \
	state->name##_count = 0;
#define U32(field)
#define I32(field)
#define U64(field)
#define STR(field)
#define BYTES(field)
#define END(name)
#include "records.def"
#undef RECORD
#undef U32
#undef I32
#undef U64
#undef STR
#undef BYTES
#undef END
}

/**
 * cprstate_decode() - check and decode a state
 * @ret:     the records, need not be zeroed; strings and bytes in it point into @buf
 * @buf:     the state's bytes
 * @len:     how many
 * @ret_why: on failure: what is wrong with it, a constant half sentence about "it"
 *
 * Return: 0, -EBADMSG where it is malformed, -EPROTONOSUPPORT where it is of another version, -E2BIG where a limit is
 * passed.
 */
int cprstate_decode(struct cprstate *ret, const uint8_t *buf, size_t len, const char **ret_why)
{
	struct codec_reader r = { .buf = buf, .size = len };
	uint32_t records, n = 0;
	int rc = decode_header(&r, len, &records, ret_why);

	clear(ret);
	for (; !rc && r.at < r.size; n++)
		rc = decode_record(ret, &r, ret_why);
	if (rc)
		return rc;
	*ret_why = "a record is missing";
	if (n != records || ret->vm_count != 1 || ret->shim_count != 1 || ret->binary_count != 2 ||
	    ret->stream_count != 1)
		return -EBADMSG;
	return 0;
}
