/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_entrypatch.c - each pattern of test/golden/entrypatch.S becomes what stands there, or is left alone. */
#include "../../shim/entrypatch.h"

#include <errno.h>
#include <string.h>

#include "../../audit/decoder.h"
#include "tap.h"

#define HOOK UINT64_C(0x1122334455667788)

/* As entrypatch.S writes them; one without a name ends them. */
struct pattern {
	const char *name;
	const uint8_t *before;
	uint64_t size;
	const uint8_t *at;
	const uint8_t *island; /* NULL: to be left alone */
	const char *why;
};

extern const struct pattern patterns[];

static const struct disasm_api *api;

static void show(const char *what, const uint8_t *bytes, size_t size)
{
	char text[3 * ENTRYPATCH_ISLAND + 1];

	for (size_t i = 0; i < size; i++)
		snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
	tap_diag("%s: %s", what, text);
}

static bool same(const char *what, const uint8_t *made, const uint8_t *expected, size_t size)
{
	if (!memcmp(made, expected, size))
		return true;
	show(what, made, size);
	show("expected", expected, size);
	return false;
}

static void displaced(const struct pattern *p, const struct entrypatch *patch)
{
	int32_t distance = (int32_t)(p->island - (p->at + ENTRYPATCH_JUMP));
	uint8_t jump[ENTRYPATCH_JUMP] = { 0xe9 };

	memcpy(jump + 1, &distance, sizeof(distance));
	ok(patch->at == (uintptr_t)p->at, "%s: the jump stands where it should", p->name);
	ok(same("before", patch->before, p->at, ENTRYPATCH_JUMP), "%s: what must stand there", p->name);
	ok(same("after", patch->after, jump, ENTRYPATCH_JUMP), "%s: the entry", p->name);
	ok(same("island", patch->island, p->island, ENTRYPATCH_ISLAND), "%s: its substitute", p->name);
}

static void try_pattern(const struct pattern *p)
{
	/* Where there is nothing to be compared with, any place near it will do. */
	uint64_t island = p->island ? (uintptr_t)p->island : (uintptr_t)p->before + 4096;
	struct entrypatch patch;
	const char *why = NULL;
	int rc = entrypatch_make(api, p->before, p->size, (uintptr_t)p->before, island, HOOK, &patch, &why);

	if (!p->island)
		ok(rc == -ENOTSUP && !strcmp(why, p->why), "%s: left alone: %s", p->name, why ? why : "it is not");
	else if (ok(!rc, "%s: displaced%s%s", p->name, rc ? ": " : "", rc ? why : ""))
		displaced(p, &patch);
}

/* What is too far away for 32 bits, by a byte. */
static void distances(void)
{
	static const uint8_t plain[] = { 0xb8, 0x20, 0, 0, 0, 0xc3 };	     /* mov $32, %eax; ret */
	static const uint8_t own[] = { 0x80, 0x3d, 0, 0, 0, 0x80, 0, 0xc3 }; /* cmpb $0, -2 GiB(%rip); ret */
	const uint64_t here = UINT64_C(1) << 40, reach = UINT64_C(1) << 31;
	const uint64_t last = here + ENTRYPATCH_JUMP + reach - 1;
	struct entrypatch patch;
	const char *why = "";

	/* The way there is the shorter one: the way back begins behind it in the island. */
	ok(entrypatch_make(api, plain, sizeof(plain), here, last + 1, HOOK, &patch, &why) == -ENOTSUP,
	   "2 GiB above: %s", why);
	ok(entrypatch_make(api, plain, sizeof(plain), here, last - ENTRYPATCH_ISLAND, HOOK, &patch, &why) == 0,
	   "a little less");
	ok(entrypatch_make(api, plain, sizeof(plain), here, here + ENTRYPATCH_JUMP - reach - 1, HOOK, &patch, &why) ==
		   -ENOTSUP,
	   "2 GiB below: %s", why);
	ok(entrypatch_make(api, plain, sizeof(plain), here, here + ENTRYPATCH_JUMP - reach, HOOK, &patch, &why) == 0,
	   "a little less");
	ok(entrypatch_make(api, own, sizeof(own), here, here + 4096, HOOK, &patch, &why) == -ENOTSUP &&
		   !strcmp(why, "what an instruction at its entry uses is too far away"),
	   "a variable at the far end of an instruction's reach: %s", why);
	ok(entrypatch_make(api, own, sizeof(own), here, here - 4096, HOOK, &patch, &why) == 0, "on the nearer side");
}

int main(void)
{
	const char *why = NULL;

	api = decoder_open(".libs/" DECODER_FILE, &why);
	if (!ok(api, "there is a disassembler%s%s", why && !api ? ": " : "", why && !api ? why : ""))
		return tap_done();
	for (const struct pattern *p = patterns; p->name; p++)
		try_pattern(p);
	distances();
	decoder_close(api);
	return tap_done();
}
