/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_cprstate.c - the CPR state: what is written is decoded, whatever else is refused, and version 1 stays what it
 * is.
 *
 * Records are filled and compared by way of records.def, so a new field is tested as soon as it is there. With an
 * argument, the sample state is written to that file: that is how test/golden/v1-sample.bin was made, once;
 * docs/state-format.md shows it.
 */
#include "state/cprstate.h"

#include "test/unit/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AT_LENGTH  16
#define AT_RECORDS 24
#define AT_CRC	   28
#define BUF_BYTES  (1u << 20)
#define MUTATIONS  200000

static uint8_t *buf, *other;
static struct cprstate *state;
static const char *why;

static const char *const texts[] = { "", "x", "/usr/bin/qemu-system-x86_64", "a \"quoted\" line\nand one more",
				     "\xc3\xa4" };

static struct cpr_bytes some_bytes(uint32_t seed)
{
	static const uint8_t bytes[] = { 0, 1, 0xff, '{', 0, 7, 8, 9 };

	return (struct cpr_bytes){ .data = bytes, .len = seed % (sizeof(bytes) + 1) };
}

static bool same_bytes(struct cpr_bytes a, struct cpr_bytes b)
{
	return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

static uint32_t next_number(uint32_t *n)
{
	*n = *n * 1664525u + 1013904223u;
	return *n;
}

/* For each record type: fill_NAME() from a number, same_NAME(). */
#define RECORD(number, name, max)                                   \
	static void fill_##name(struct cpr_##name *rec, uint32_t n) \
	{                                                           \
		next_number(&n);
#define U32(field)   rec->field = next_number(&n);
#define I32(field)   rec->field = (int32_t)next_number(&n);
#define U64(field)   rec->field = (uint64_t)next_number(&n) << 32 | 0x5a5a5a5au;
#define STR(field)   rec->field = texts[next_number(&n) % (sizeof(texts) / sizeof(texts[0]))];
#define BYTES(field) rec->field = some_bytes(next_number(&n));
#define END(name)    }
#include "state/records.def"
#undef RECORD
#undef U32
#undef I32
#undef U64
#undef STR
#undef BYTES
#undef END

#define RECORD(number, name, max)                                                       \
	static bool same_##name(const struct cpr_##name *a, const struct cpr_##name *b) \
	{                                                                               \
		bool same = true;
#define U32(field)   same = same && a->field == b->field;
#define I32(field)   same = same && a->field == b->field;
#define U64(field)   same = same && a->field == b->field;
#define STR(field)   same = same && !strcmp(a->field, b->field);
#define BYTES(field) same = same && same_bytes(a->field, b->field);
#define END(name)    \
	return same; \
	}
#include "state/records.def"
#undef RECORD
#undef U32
#undef I32
#undef U64
#undef STR
#undef BYTES
#undef END

/* within_NAME(): does all that a decoded record points to lie in the state's own bytes? */
static bool str_within(const char *str, const uint8_t *start, size_t len)
{
	const uint8_t *at = (const uint8_t *)str;

	return at >= start && at < start + len && memchr(at, 0, (size_t)(start + len - at));
}

static bool bytes_within(struct cpr_bytes bytes, const uint8_t *start, size_t len)
{
	return bytes.data >= start && bytes.data <= start + len && bytes.len <= (size_t)(start + len - bytes.data);
}

#define RECORD(number, name, max)                                                                 \
	static bool within_##name(const struct cpr_##name *rec, const uint8_t *start, size_t len) \
	{                                                                                         \
		bool good = rec && start && len;
#define U32(field)
#define I32(field)
#define U64(field)
#define STR(field)   good = good && str_within(rec->field, start, len);
#define BYTES(field) good = good && bytes_within(rec->field, start, len);
#define END(name)    \
	return good; \
	}
#include "state/records.def"
#undef RECORD
#undef U32
#undef I32
#undef U64
#undef STR
#undef BYTES
#undef END

/* From here on only RECORD() is used. */
#define U32(field)
#define I32(field)
#define U64(field)
#define STR(field)
#define BYTES(field)
#define END(name)

enum {
#define RECORD(number, name, max) TYPE_##name = (number), MAX_##name = (max),
#include "state/records.def"
#undef RECORD
	TYPES = 64
};

/* As many records of each type as @counts says, by type number. */
static size_t write_counts(const uint32_t counts[TYPES])
{
	struct codec_writer w;

	cprstate_begin(&w, buf, BUF_BYTES);
#define RECORD(number, name, max)                         \
	for (uint32_t i = 0; i < counts[(number)]; i++) { \
		struct cpr_##name rec;                    \
		memset(&rec, 0, sizeof(rec));             \
		fill_##name(&rec, (number)*10000u + i);   \
		cprstate_put_##name(&w, &rec);            \
	}
#include "state/records.def"
#undef RECORD
	return cprstate_end(&w) ? 0 : w.len;
}

/* Some of each type; what a state must have is there. */
static size_t write_some(uint32_t counts[TYPES])
{
	memset(counts, 0, TYPES * sizeof(*counts));
#define RECORD(number, name, max) counts[(number)] = (max) < 3 ? (max) : 3;
#include "state/records.def"
#undef RECORD
	return write_counts(counts);
}

static void put_le(uint8_t *at, uint64_t value, size_t width)
{
	for (size_t i = 0; i < width; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static void fix_checksum(uint8_t *bytes, size_t len)
{
	uint32_t crc = codec_crc32c(0, bytes, AT_CRC);

	put_le(bytes + AT_CRC, codec_crc32c(crc, bytes + AT_CRC + 4, len - AT_CRC - 4), 4);
}

/* Whatever lay there before. */
static int decode(size_t len)
{
	memset(state, 0xa5, sizeof(*state));
	return cprstate_decode(state, buf, len, &why);
}

static void test_round_trip(void)
{
	uint32_t counts[TYPES];
	size_t len = write_some(counts);

	ok(len && decode(len) == 0, "a state with records of every type is decoded (%zu bytes)", len);
#define RECORD(number, name, max)                                                                              \
	{                                                                                                      \
		bool same = state->name##_count == counts[(number)];                                           \
		for (uint32_t i = 0; same && i < counts[(number)]; i++) {                                      \
			struct cpr_##name rec;                                                                 \
			memset(&rec, 0, sizeof(rec));                                                          \
			fill_##name(&rec, (number)*10000u + i);                                                \
			same = same_##name(&rec, &state->name[i]) && within_##name(&state->name[i], buf, len); \
		}                                                                                              \
		ok(same, "what was written of " #name " is read, in its order");                               \
	}
#include "state/records.def"
#undef RECORD
}

static void test_limits(void)
{
	uint32_t counts[TYPES];

	memset(counts, 0, sizeof(counts));
#define RECORD(number, name, max) counts[(number)] = (max);
#include "state/records.def"
#undef RECORD
	size_t len = write_counts(counts);
	ok(len && decode(len) == 0, "as many records as are allowed are decoded (%zu bytes)", len);
#define RECORD(number, name, max)     \
	write_some(counts);           \
	counts[(number)] = (max) + 1; \
	len = write_counts(counts);   \
	ok(len &&decode(len) == -E2BIG && strstr(why, "too many"), "one " #name " too many is refused");
#include "state/records.def"
#undef RECORD
	static const uint32_t needed[] = { TYPE_vm, TYPE_shim, TYPE_binary, TYPE_stream };
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		write_some(counts);
		counts[needed[i]]--;
		len = write_counts(counts);
		ok(len && decode(len) == -EBADMSG, "a state without its record of type %u is refused", needed[i]);
	}
	memset(counts, 0, sizeof(counts));
	counts[TYPE_vm] = counts[TYPE_shim] = counts[TYPE_stream] = 1;
	counts[TYPE_binary] = 2;
	len = write_counts(counts);
	ok(len && decode(len) == 0 && !state->arg_count, "these are all that it needs");
	ok(!state->transfer_count && !state->transfer[0].vm_pid && !state->arg[0].text, "what is not there is zero");
}

static void test_writer(void)
{
	struct codec_writer w;
	struct cpr_note note = { .closed_fd = 7, .text = "pipe:[4711]" };
	bool all = true;
	size_t full;

	cprstate_begin(&w, buf, BUF_BYTES);
	cprstate_put_note(&w, &note);
	full = w.len;
	for (size_t size = 0; size < full; size++) {
		uint8_t *exact = malloc(size ? size : 1); /* so that the sanitizer sees the first byte too far */

		cprstate_begin(&w, exact, size);
		cprstate_put_note(&w, &note);
		all = all && cprstate_end(&w) == -ENOSPC;
		free(exact);
	}
	ok(all, "a buffer that is too small is said to be, whatever its size");
	cprstate_begin(&w, buf, full);
	cprstate_put_note(&w, &note);
	ok(cprstate_end(&w) == 0 && w.len == full, "one that is just large enough is");
}

static void test_truncated(void)
{
	uint32_t counts[TYPES];
	size_t len = write_some(counts), kept = 0, kept_fixed = 0;

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		if (!exact)
			return;
		memcpy(exact, buf, cut);
		kept += cprstate_decode(state, exact, cut, &why) == 0;
		if (cut >= CPRSTATE_HEADER) {
			put_le(exact + AT_LENGTH, cut, 8);
			fix_checksum(exact, cut);
			kept_fixed += cprstate_decode(state, exact, cut, &why) == 0;
		}
		free(exact);
	}
	ok(!kept, "each of its %zu truncations is refused", len);
	ok(!kept_fixed, "also with a length and a checksum that fit");
	memset(buf + len, 0, 8);
	ok(decode(len + 1) == -EBADMSG, "a byte more is refused");
	put_le(buf + AT_LENGTH, len + 1, 8);
	fix_checksum(buf, len + 1);
	ok(decode(len + 1) == -EBADMSG, "also with a length and a checksum that fit");
}

static void test_flipped(void)
{
	uint32_t counts[TYPES];
	size_t len = write_some(counts), kept = 0;

	for (size_t at = 0; at < len; at++)
		for (unsigned int bit = 0; bit < 8; bit++) {
			buf[at] ^= (uint8_t)(1u << bit);
			kept += decode(len) == 0;
			buf[at] ^= (uint8_t)(1u << bit);
		}
	ok(!kept, "the flip of each of its %zu bits is noticed", 8 * len);
	ok(decode(len) == 0, "and with none flipped it is decoded");
}

/* A header field that is not as it should be, with a checksum that fits. */
struct header_case {
	const char *name;
	size_t at;
	size_t width;
	uint64_t value;
	int expected;
};

static void test_header(void)
{
	static const struct header_case cases[] = {
		{ "another magic", 0, 8, CPRSTATE_MAGIC + 1, -EBADMSG },
		{ "no magic", 0, 8, 0, -EBADMSG },
		{ "version 0", 8, 4, 0, -EPROTONOSUPPORT },
		{ "a newer version that readers of this one understand", 8, 4, CPRSTATE_VERSION + 1, 0 },
		{ "a newer version that they do not", 12, 4, CPRSTATE_VERSION + 1, -EPROTONOSUPPORT },
		{ "the highest version", 12, 4, UINT32_MAX, -EPROTONOSUPPORT },
		{ "a length of 0", AT_LENGTH, 8, 0, -EBADMSG },
		{ "a giant length", AT_LENGTH, 8, UINT64_MAX, -EBADMSG },
		{ "a length that fits in 32 bits only", AT_LENGTH + 4, 4, 1, -EBADMSG },
		{ "no records", AT_RECORDS, 4, 0, -EBADMSG },
		{ "more records than there are", AT_RECORDS, 4, UINT32_MAX, -EBADMSG },
		{ "another value in the reserved field", 32, 4, 1, 0 },
	};
	uint32_t counts[TYPES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = write_some(counts);

		put_le(buf + cases[i].at, cases[i].value, cases[i].width);
		fix_checksum(buf, len);
		ok(decode(len) == cases[i].expected, "header: %s", cases[i].name);
	}
	size_t len = write_some(counts);
	put_le(buf + AT_RECORDS, counts[TYPE_vm], 4);
	fix_checksum(buf, len);
	ok(decode(len) == -EBADMSG && !strcmp(why, "a record is missing"), "header: fewer records than there are");
	ok(cprstate_decode(state, NULL, 0, &why) == -EBADMSG, "nothing is no state");
}

/* A state with one more record, of this type, these flags and this payload. */
static size_t with_record(uint16_t type, uint16_t flags, const void *payload, uint32_t len)
{
	uint32_t counts[TYPES];
	size_t before = write_some(counts);
	struct codec_writer w = { .buf = buf, .size = BUF_BYTES, .len = before };

	codec_put_u16(&w, type);
	codec_put_u16(&w, flags);
	codec_put_u32(&w, len);
	codec_put_raw(&w, payload, len);
	return cprstate_end(&w) ? 0 : w.len;
}

static void test_unknown(void)
{
	size_t len = with_record(999, 0, "anything", 8);

	ok(decode(len) == 0 && state->vm_count == 1, "an unknown record that may be skipped is");
	len = with_record(999, 0xfffe, "", 0);
	ok(decode(len) == 0, "also an empty one, and with flags that mean nothing yet");
	len = with_record(999, CPRSTATE_REQUIRED, "anything", 8);
	ok(decode(len) == -EPROTONOSUPPORT && strstr(why, "must understand"), "one that must be understood is refused");
	len = with_record(0, CPRSTATE_REQUIRED, "", 0);
	ok(decode(len) == -EPROTONOSUPPORT, "as is type 0");
	len = with_record(TYPE_arg, 0, "\1\0\0\0x", 6);
	ok(decode(len) == 0 && state->arg_count == 4, "a known one is read whatever its flags");
}

static void test_fields(void)
{
	static const struct {
		const char *name;
		uint32_t len;
		const char *payload;
		int expected;
	} cases[] = {
		{ "a string", 6, "\1\0\0\0x", 0 },
		{ "an empty string", 5, "\0\0\0\0", 0 },
		{ "no string at all", 0, "", -EBADMSG },
		{ "half a length", 2, "\1\0", -EBADMSG },
		{ "a length alone", 4, "\0\0\0\0", -EBADMSG },
		{ "a string without a zero byte after it", 5, "\1\0\0\0x", -EBADMSG },
		{ "a string with another byte after it", 6, "\1\0\0\0xy", -EBADMSG },
		{ "a zero byte in a string", 8, "\3\0\0\0x\0y", -EBADMSG },
		{ "a string that is longer than the record", 6, "\2\0\0\0x", -EBADMSG },
		{ "a byte after the last field", 7, "\1\0\0\0x\0", -EBADMSG },
		{ "a length of 2 GiB", 6, "\377\377\377\177x", -EBADMSG },
		{ "a length of 4 GiB less one", 6, "\377\377\377\377x", -EBADMSG },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = with_record(TYPE_arg, CPRSTATE_REQUIRED, cases[i].payload, cases[i].len);

		ok(decode(len) == cases[i].expected, "a record with %s", cases[i].name);
	}
	static const uint32_t lengths[] = { 7, 0x7fffffff, UINT32_MAX - 7, UINT32_MAX };
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		size_t len = with_record(TYPE_arg, CPRSTATE_REQUIRED, "\1\0\0\0x", 6);

		put_le(buf + len - 10, lengths[i], 4);
		fix_checksum(buf, len);
		ok(decode(len) == -EBADMSG && strstr(why, "cut off"), "a record that says it has %u bytes", lengths[i]);
	}
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static size_t mutate(uint8_t *bytes, size_t len, uint64_t *seed)
{
	static const uint32_t numbers[] = { 0, 1, 2, 255, 4096, 0x7fffffff, 0x80000000, UINT32_MAX - 7, UINT32_MAX };
	size_t at = CPRSTATE_HEADER + next_random(seed) % (len - CPRSTATE_HEADER), n;

	switch (next_random(seed) % 6) {
	case 0:
		bytes[at] = (uint8_t)next_random(seed);
		break;
	case 1:
		bytes[at] ^= (uint8_t)(1u << next_random(seed) % 8);
		break;
	case 2:
		if (len - at >= 4)
			put_le(bytes + at, numbers[next_random(seed) % (sizeof(numbers) / sizeof(numbers[0]))], 4);
		break;
	case 3: /* off by a little */
		bytes[at] = (uint8_t)(bytes[at] + next_random(seed) % 9 - 4);
		break;
	case 4: /* cut some out */
		n = next_random(seed) % 16;
		if (len - at > n) {
			memmove(bytes + at, bytes + at + n, len - at - n);
			len -= n;
		}
		break;
	default: /* say some twice */
		n = next_random(seed) % 64;
		if (len - at > n) {
			memmove(bytes + at + n, bytes + at, len - at);
			len += n;
		}
		break;
	}
	return len;
}

static bool all_within(const uint8_t *start, size_t len)
{
	bool good = true;

#define RECORD(number, name, max)                                  \
	good = good && state->name##_count <= (max);               \
	for (uint32_t i = 0; good && i < state->name##_count; i++) \
		good = within_##name(&state->name[i], start, len);
#include "state/records.def"
#undef RECORD
	return good;
}

/* Whatever the bytes, decoding ends, stays within them, and what it accepts keeps its promises. */
static void test_mutated(void)
{
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
	uint32_t counts[TYPES];
	size_t whole = write_some(counts), accepted = 0, bad = 0;

	for (int round = 0; round < MUTATIONS; round++) {
		size_t len = whole;

		memcpy(other, buf, whole);
		for (uint64_t n = next_random(&seed) % 6 + 1; n; n--)
			len = mutate(other, len, &seed);
		if (next_random(&seed) % 4 == 0)
			put_le(other + AT_RECORDS, next_random(&seed) % 64, 4);
		put_le(other + AT_LENGTH, len, 8);
		fix_checksum(other, len);
		uint8_t *exact = malloc(len);
		if (!exact)
			return;
		memcpy(exact, other, len);
		if (cprstate_decode(state, exact, len, &why) == 0) {
			accepted++;
			bad += !all_within(exact, len);
		} else {
			bad += !why || !*why;
		}
		free(exact);
	}
	ok(!bad, "%d states with wrong bytes and right checksums: none is misread (%zu accepted)", MUTATIONS, accepted);
	ok(accepted > MUTATIONS / 100 && accepted < MUTATIONS / 2, "and they were a fair test");
}

#define SAMPLE_SECOND UINT64_C(1000000000)

/* The sample of docs/state-format.md. */
static size_t write_sample(void)
{
	static const uint8_t addr[] = {
		1, 0, '/', 'r', 'u', 'n', '/', 'm', 0
	}; /* a struct sockaddr_un: AF_UNIX, path */
	struct codec_writer w;

	cprstate_begin(&w, buf, BUF_BYTES);
	cprstate_put_vm(&w, &(struct cpr_vm){
				    .pid = 4711,
				    .start_time = 123456,
				    .generation = 1,
				    .running = 1,
				    .umask = 022,
				    .signal_mask = 0x2000,
				    .timeout_s = 60,
				    .started_ms = UINT64_C(1700000000000),
				    .started_ns = 42 * SAMPLE_SECOND,
				    .machine = "pc-q35-7.2",
				    .name = "vm1",
				    .configured = "/q",
				    .capabilities = "[]",
				    .parameters = "{}",
			    });
	cprstate_put_shim(&w, &(struct cpr_shim){
				      .library_fd = 1001,
				      .cwd_fd = 1002,
				      .journal_fd = 1003,
				      .control_fd = 1004,
				      .requester_fd = -1,
				      .holder_fd = 1005,
				      .own_path = "/l.so",
				      .socket_path = "/s",
			      });
	cprstate_put_binary(
		&w, &(struct cpr_binary){ .role = CPR_BINARY_OLD, .fd = 1006, .path = "/q", .version = "7.2.22" });
	cprstate_put_binary(
		&w, &(struct cpr_binary){ .role = CPR_BINARY_NEW, .fd = 1007, .path = "/q", .version = "10.0.2" });
	cprstate_put_arg(&w, &(struct cpr_arg){ .text = "/q" });
	cprstate_put_arg(&w, &(struct cpr_arg){ .text = "-S" });
	cprstate_put_env(&w, &(struct cpr_env){ .text = "HOME=/" });
	cprstate_put_ram(&w, &(struct cpr_ram){ .name = "pc.ram", .fd = 1008, .used = 512u << 20, .max = 512u << 20 });
	cprstate_put_fd(&w, &(struct cpr_fd){
				    .kind = 7,
				    .number = 12,
				    .fd = 1009,
				    .parent = -1,
				    .open_flags = 1u << 16 | 1u,
				    .addr = { addr, sizeof(addr) },
			    });
	cprstate_put_stream(&w, &(struct cpr_stream){ .fd = 1010, .length = 32720, .crc = 0x12345678 });
	return cprstate_end(&w) ? 0 : w.len;
}

static bool sample_is_as_documented(void)
{
	const struct cpr_vm *vm = &state->vm[0];
	const struct cpr_shim *shim = &state->shim[0];
	const struct cpr_fd *fd = &state->fd[0];

	return vm->pid == 4711 && vm->start_time == 123456 && vm->generation == 1 && vm->running == 1 && !vm->hold &&
	       vm->umask == 022 && vm->signal_mask == 0x2000 && vm->timeout_s == 60 &&
	       vm->started_ms == UINT64_C(1700000000000) && vm->started_ns == 42 * SAMPLE_SECOND &&
	       !strcmp(vm->machine, "pc-q35-7.2") && !strcmp(vm->name, "vm1") && !*vm->vmgenid &&
	       !strcmp(vm->configured, "/q") && shim->library_fd == 1001 && shim->requester_fd == -1 &&
	       shim->holder_fd == 1005 && !strcmp(shim->own_path, "/l.so") && !strcmp(shim->socket_path, "/s") &&
	       state->binary[0].role == CPR_BINARY_OLD && !strcmp(state->binary[0].version, "7.2.22") &&
	       state->binary[1].role == CPR_BINARY_NEW && state->binary[1].fd == 1007 && state->arg_count == 2 &&
	       !strcmp(state->arg[1].text, "-S") && state->env_count == 1 && !strcmp(state->env[0].text, "HOME=/") &&
	       state->ram_count == 1 && !strcmp(state->ram[0].name, "pc.ram") && state->ram[0].max == 512u << 20 &&
	       state->fd_count == 1 && fd->number == 12 && fd->parent == -1 && fd->addr.len == 9 &&
	       !strcmp((const char *)fd->addr.data + 2, "/run/m") && !fd->partial.len &&
	       state->stream[0].length == 32720 && state->stream[0].crc == 0x12345678;
}

static void test_golden(void)
{
	const char *source = getenv("CPRSHIM_SRCDIR");
	char path[4096];
	size_t sample = write_sample();

	snprintf(path, sizeof(path), "%s/test/golden/v1-sample.bin", source ? source : ".");
	FILE *file = fopen(path, "rb");
	size_t len = file ? fread(other, 1, BUF_BYTES, file) : 0;
	if (file)
		fclose(file);
	if (!ok(len > CPRSTATE_HEADER, "the golden state of version 1 is there"))
		return;
	ok(cprstate_decode(state, other, len, &why) == 0, "it is decoded");
	ok(sample_is_as_documented(), "to what docs/state-format.md says");
	ok(CPRSTATE_VERSION != 1 || (len == sample && !memcmp(other, buf, len)), "it is what version 1 still writes");
}

static int make_golden(const char *path)
{
	size_t len = write_sample();
	FILE *file = fopen(path, "wbx"); /* never over one that is there */

	if (!file || fwrite(buf, 1, len, file) != len || fclose(file)) {
		perror(path);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	buf = malloc(BUF_BYTES);
	other = malloc(BUF_BYTES);
	state = malloc(sizeof(*state));
	if (!buf || !other || !state)
		return 99;
	if (argc == 2)
		return make_golden(argv[1]);
	test_round_trip();
	test_limits();
	test_writer();
	test_truncated();
	test_flipped();
	test_header();
	test_unknown();
	test_fields();
	test_mutated();
	test_golden();
	free(buf);
	free(other);
	free(state);
	return tap_done();
}
