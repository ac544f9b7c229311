/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * raw.c - the entries of libc's functions lead to the hooks; see raw.h.
 *
 * Which functions: those that libc calls past its own PLT to open, close, duplicate or map, by its disassembly (2.36 to 2.41;
 * test/raw.bats looks). Not socket(): libc closes some by a system call in the middle of a function (if_nametoindex()), and the
 * table would show them for ever. Not clone(), vfork() or exec: what runs there has no stack of its own to come back on.
 * __openat64_nocancel() has no name outside libc: what nftw() opens by it for a moment is not seen.
 *
 * The code is changed the way that whoever watches over such changes can see and refuse, by mprotect(2), and not through
 * /proc/self/mem, which would go past a policy.
 */
#include "raw.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../audit/decoder.h"
#include "entrypatch.h"
#include "log.h"
#include "nocancel.h"
#include "real.h"
#include "settings.h"
#include "stopothers.h"

#define PAGE	   4096u
#define NEAR_STEP  (UINT64_C(1) << 20)
#define NEAR_REACH (UINT64_C(1) << 30) /* a displacement of 32 bits reaches twice as far: libc has its size too */

/* @hook: NULL for the one that this library exports by that name. Those that close come first (closed_unseen()). */
static const struct {
	const char *name;
	void (*hook)(void);
	bool closes;
} wanted[] = {
	{ "close", NULL, true },
	{ "__close_nocancel", (void (*)(void))nocancel_close, true },
	{ "open64", NULL, false },
	{ "openat64", NULL, false },
	{ "__open64_nocancel", (void (*)(void))nocancel_open, false },
	{ "dup", NULL, false },
	{ "dup2", NULL, false },
	{ "dup3", NULL, false },
	{ "fcntl64", NULL, false },
	{ "pipe", NULL, false },
	{ "pipe2", NULL, false },
	{ "mmap64", NULL, false },
	{ "munmap", NULL, false },
	{ "mremap", NULL, false },
};

#define COUNT (sizeof(wanted) / sizeof(wanted[0]))
_Static_assert(ENTRYPATCH_ISLAND *COUNT <= PAGE, "all islands are in one page");

static enum raw_state state;
static char why_unavailable[256];
static const char *left[COUNT]; /* why a function is left as it is; NULL where it leads to its hook, or is to */
static struct entrypatch patches[COUNT];
static void *entries[COUNT];
static uint8_t *islands;

__attribute__((format(printf, 1, 2))) static void give_up(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why_unavailable, sizeof(why_unavailable), format, ap);
	va_end(ap);
}

/* What is opened and then closed unseen would stay in the table for ever. */
static bool closed_unseen(size_t index)
{
	for (size_t i = 0; !wanted[index].closes && i < COUNT && wanted[i].closes; i++)
		if (left[i])
			return true;
	return false;
}

static void *map_page(uint64_t at)
{
	return real(mmap64)((void *)(uintptr_t)at, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

/* A page that jumps from libc reach, or NULL; below it if possible, since above it the stack may grow. */
static uint8_t *map_near(uint64_t address)
{
	const uint64_t page = address & ~(uint64_t)(PAGE - 1);

	for (int below = 1; below >= 0; below--) {
		for (uint64_t distance = NEAR_STEP; distance < NEAR_REACH; distance += NEAR_STEP) {
			void *found = map_page(below ? page - distance : page + distance);

			if (found != MAP_FAILED)
				return found;
		}
	}
	return NULL;
}

static const char *plan(size_t i, const struct disasm_api *api)
{
	void *hook = wanted[i].hook ? (void *)wanted[i].hook : real_hook(wanted[i].name);
	const char *why = NULL;
	size_t size = 0;

	entries[i] = real_libc(wanted[i].name, &size);
	if (!entries[i])
		return "libc has no such function";
	/* That one would be called by the hook, and call libc's, and so the hook. */
	if (!hook || (!wanted[i].hook && !real_leads_to(wanted[i].name, entries[i])))
		return "another library stands between the hook and libc";
	entrypatch_make(api, entries[i], size, (uintptr_t)entries[i], (uintptr_t)islands + i * ENTRYPATCH_ISLAND,
			(uintptr_t)hook, &patches[i], &why);
	return why;
}

static bool plan_all(const char *decoder)
{
	const struct disasm_api *api;
	const char *why;
	size_t size;
	void *libc = real_libc("close", &size);

	islands = libc ? map_near((uintptr_t)libc) : NULL;
	if (!islands) {
		give_up("there is no room near libc");
		return false;
	}
	api = decoder_open(decoder, &why);
	if (!api) {
		give_up("%s", why);
		return false;
	}
	for (size_t i = 0; i < COUNT; i++) {
		left[i] = plan(i, api);
		if (left[i])
			continue;
		memcpy(islands + i * ENTRYPATCH_ISLAND, patches[i].island, ENTRYPATCH_ISLAND);
	}
	decoder_close(api);
	if (!mprotect(islands, PAGE, PROT_READ | PROT_EXEC))
		return true;
	give_up("new code is forbidden here (mprotect: %s)", strerrorname_np(errno));
	return false;
}

static const char *write_entry(const struct entrypatch *patch, const void *entry, void *trampoline)
{
	uintptr_t at = patch->at, first = at & ~(uintptr_t)(PAGE - 1), end = at + ENTRYPATCH_JUMP;

	if (memcmp((const void *)at, patch->before, ENTRYPATCH_JUMP) != 0)
		return "somebody else has changed it meanwhile";
	/* Never without PROT_EXEC: what forbids to add that would leave libc without it. */
	if (mprotect((void *)first, end - first, PROT_READ | PROT_WRITE | PROT_EXEC))
		return "its code may not be changed (mprotect)";
	real_redirect(entry, trampoline);
	memcpy((void *)at, patch->after, ENTRYPATCH_JUMP);
	/* Where this fails it can still be executed. */
	mprotect((void *)first, end - first, PROT_READ | PROT_EXEC);
	return NULL;
}

/* For stopothers_run(). */
static void write_all(void *unused)
{
	(void)unused;
	for (size_t i = 0; i < COUNT; i++) {
		if (!left[i] && closed_unseen(i))
			left[i] = "what it opens would be closed unseen";
		if (!left[i])
			left[i] = write_entry(&patches[i], entries[i],
					      islands + i * ENTRYPATCH_ISLAND + ENTRYPATCH_TRAMPOLINE);
	}
}

static void change_libc(void)
{
	struct code_range ranges[COUNT];
	size_t count = 0, changed = 0;
	const char *why;

	for (size_t i = 0; i < COUNT; i++)
		if (!left[i])
			ranges[count++] = (struct code_range){ patches[i].at, patches[i].at + ENTRYPATCH_JUMP };
	if (stopothers_run(ranges, count, write_all, NULL, &why)) {
		give_up("%s", why);
		return;
	}
	for (size_t i = 0; i < COUNT; i++)
		changed += !left[i];
	if (changed)
		state = RAW_ON;
	else
		give_up("no function of libc could be changed: %s: %s", wanted[0].name, left[0]);
}

/* In the build tree the disassembler lies beside this library, installed in a folder beside it. */
static const char *find_decoder(const char *own_path, char *ret, size_t size)
{
	static const char *const folders[] = { "", "cprshim/" };
	const char *slash = strrchr(own_path, '/');

	for (size_t i = 0; slash && i < sizeof(folders) / sizeof(folders[0]); i++) {
		int n = snprintf(ret, size, "%.*s/%s" DECODER_FILE, (int)(slash - own_path), own_path, folders[i]);

		if (n > 0 && (size_t)n < size && !access(ret, R_OK))
			return ret;
	}
	snprintf(ret, size, "%s/cprshim/" DECODER_FILE, PKGLIBDIR);
	return access(ret, R_OK) ? NULL : ret;
}

static void report(void)
{
	size_t changed = COUNT;

	if (state != RAW_ON) {
		log_warn("CPRSHIM_RAW: libc is left as it is: %s", why_unavailable);
		return;
	}
	for (size_t i = 0; i < COUNT; i++) {
		if (left[i]) {
			log_warn("CPRSHIM_RAW: libc's %s() is left as it is: %s", wanted[i].name, left[i]);
			changed--;
		}
	}
	log_info("CPRSHIM_RAW: %zu of %zu functions of libc lead to the hooks", changed, COUNT);
}

/**
 * raw_start() - where CPRSHIM_RAW=on asks for it, have libc's own calls come to the hooks
 * @own_path: path that this library was loaded from
 *
 * Before main(), on its thread; others may run already. What cannot be done is left, and logged; nothing fails for it.
 */
void raw_start(const char *own_path)
{
	char decoder[PATH_MAX];

	if (settings.raw_unknown)
		log_warn("CPRSHIM_RAW is neither on nor off: %s", settings.raw_unknown);
	if (!settings.raw)
		return;
	state = RAW_UNAVAILABLE;
	if (plan_all(find_decoder(own_path, decoder, sizeof(decoder))))
		change_libc();
	if (state != RAW_ON && islands)
		real(munmap)(islands, PAGE);
	report();
}

/** raw_state() - what has become of it */
enum raw_state raw_state(void)
{
	return state;
}

/** raw_why() - with RAW_UNAVAILABLE: a sentence that says why */
const char *raw_why(void)
{
	return why_unavailable;
}

/** raw_count() - how many functions there are to tell of: with RAW_ON all that were to be changed, else none */
size_t raw_count(void)
{
	return state == RAW_ON ? COUNT : 0;
}

/** raw_function() - one of them, by its index */
struct raw_function raw_function(size_t index)
{
	return (struct raw_function){ wanted[index].name, left[index] };
}
