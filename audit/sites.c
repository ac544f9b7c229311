/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sites.c - every place in a file where the kernel is called without a function of libc.
 *
 * Bytes that look like such an instruction only choose the functions that are decoded: these bytes also occur in the middle
 * of other instructions, and in data.
 */
#include "sites.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "functions.h"
#include "syscalls.h"

/* A jump to anywhere within two gigabytes. */
#define JUMP_SIZE 5

/* What a search in a file needs. */
struct search {
	const struct elfobject *obj;
	const struct disasm_api *api;
	bool loader;
	struct functions functions;
	struct sites sites;
};

static const char *const hooked[] = {
#define HOOK(number, symbol) #symbol,
#include "../state/hooks.def"
#undef HOOK
};

static const char *hook_named(const char *name)
{
	for (size_t i = 0; i < sizeof(hooked) / sizeof(hooked[0]); i++) {
		if (!strcmp(hooked[i], name))
			return hooked[i];
	}
	return NULL;
}

static struct site *add(struct sites *sites, uint64_t address, enum site_kind kind)
{
	if (sites->count == sites->room) {
		size_t room = sites->room ? sites->room * 2 : 64;
		struct site *items = realloc(sites->items, room * sizeof(*items));

		if (!items)
			return NULL;
		sites->items = items;
		sites->room = room;
	}
	sites->items[sites->count] = (struct site){ .address = address, .kind = kind };
	return &sites->items[sites->count++];
}

/* --- names */

/* Exported names first, then those that begin with a letter: "close" rather than "__close" or "__libc_close". */
static bool is_better(const struct elfobject_symbol *symbol, bool *exported, const char *name)
{
	if (name && symbol->exported != *exported)
		return symbol->exported;
	if (name && (*name == '_') != (*symbol->name == '_'))
		return *name == '_';
	return !name || strlen(symbol->name) < strlen(name);
}

struct naming {
	struct site *site;
	bool exported;
};

static void name_site(const struct elfobject_symbol *symbol, void *arg)
{
	struct naming *naming = arg;
	struct site *site = naming->site;
	const char *hook;

	if (!symbol->defined || !symbol->code || site->address < symbol->address ||
	    site->address - symbol->address >= symbol->size)
		return;
	if (is_better(symbol, &naming->exported, site->symbol)) {
		site->symbol = symbol->name;
		site->symbol_offset = site->address - symbol->address;
		naming->exported = symbol->exported;
	}
	/* a name that nobody else can be bound to is called past every hook */
	hook = symbol->exported ? hook_named(symbol->name) : NULL;
	if (hook)
		site->hook = hook;
}

/* --- what becomes of one */

static enum syscall_effect worst_effect(const struct code_values *numbers)
{
	enum syscall_effect worst = SYSCALL_NONE;

	for (size_t i = 0; i < numbers->count; i++) {
		enum syscall_effect effect = syscalls_effect(numbers->values[i]);

		if (effect == SYSCALL_UNKNOWN)
			return effect;
		worst = effect > worst ? effect : worst;
	}
	return worst;
}

static bool number_is_known(const struct site *site)
{
	return site->numbers.why == CODE_KNOWN && site->numbers.count > 0;
}

static const char *what_is_unknown(const struct site *site)
{
	if (site->kind == SITE_INT80 || site->kind == SITE_SYSENTER)
		return "it is a 32-bit system call";
	if (!number_is_known(site))
		return site->numbers.why == CODE_KNOWN ? "nothing leads to it" : code_why_text(site->numbers.why);
	return worst_effect(&site->numbers) == SYSCALL_UNKNOWN ? "it is a system call that is not known" : NULL;
}

static enum site_verdict judge(struct site *site, bool loader)
{
	if (!site->why)
		site->why = what_is_unknown(site);
	if (!site->why && worst_effect(&site->numbers) <= SYSCALL_PROCESS)
		return SITE_HARMLESS;
	if (loader)
		return SITE_TRANSIENT;
	if (site->hook)
		return SITE_HOOKED;
	if (site->why)
		return SITE_UNKNOWN;
	if (site->patch_size)
		return SITE_PATCHABLE;
	site->why = "there is no room for a jump";
	return SITE_UNKNOWN;
}

static void finish(struct search *search, struct site *site)
{
	struct naming naming = { site, false };

	elfobject_each_symbol(search->obj, name_site, &naming);
	site->verdict = judge(site, search->loader);
}

/* --- a function */

static bool site_kind(const struct insn *insn, enum site_kind *ret)
{
	if (insn->kind == INSN_SYSCALL)
		*ret = SITE_SYSCALL;
	else if (insn->kind == INSN_SYSENTER)
		*ret = SITE_SYSENTER;
	else if (insn->kind == INSN_INT80)
		*ret = SITE_INT80;
	else if (insn->vsyscall)
		*ret = SITE_VSYSCALL;
	else
		return false;
	return true;
}

static int add_insn_site(struct search *search, const struct code *code, size_t index)
{
	/* in the order of the page */
	static const uint64_t vsyscalls[] = { 96, 201, 309 };
	const struct insn *insn = &code->insns[index];
	enum site_kind kind;
	struct site *site;

	if (!site_kind(insn, &kind))
		return 0;
	site = add(&search->sites, insn->address, kind);
	if (!site)
		return -ENOMEM;
	if (kind == SITE_VSYSCALL) {
		site->numbers = (struct code_values){ .count = 1, .values = { vsyscalls[insn->vsyscall - 1] } };
	} else {
		int err = code_trace(code, index, CODE_REG_RAX, &site->numbers);
		uint64_t at = 0;
		size_t size = 0;

		if (err)
			return err;
		if (code_room(code, index, JUMP_SIZE, &at, &size)) {
			site->patch_address = at;
			site->patch_size = size;
		}
	}
	finish(search, site);
	return 0;
}

/*
 * What stands in the instructions, then what only looks like one: in a function that was not understood it may be one.
 * What follows a function, nothing leads to, and does not read as code to its end is data: constants stand there.
 */
static int add_function(struct search *search, const struct code *code, bool gap, const uint64_t *candidates,
			size_t count)
{
	size_t read = gap && code->damaged ? code->sure : code->count;
	int err = 0;

	for (size_t i = 0; !err && i < read; i++)
		err = add_insn_site(search, code, i);
	for (size_t n = 0; !err && n < count; n++) {
		bool decoded = false;
		struct site *site;

		for (size_t i = 0; i < read && !decoded; i++)
			decoded = candidates[n] - code->insns[i].address < code->insns[i].size;
		if (decoded || gap || !code->damaged) {
			search->sites.data += decoded ? 0 : 1;
			continue;
		}
		site = add(&search->sites, candidates[n], SITE_SYSCALL);
		if (!site)
			return -ENOMEM;
		site->why = "the code before it cannot be decoded";
		finish(search, site);
	}
	return err;
}

static int decode_function(struct search *search, const struct function *function, const uint64_t *candidates,
			   size_t count)
{
	const uint8_t *bytes;
	struct code code;
	size_t len;
	int err;

	if (!elfobject_at(search->obj, function->start, &bytes, &len))
		return 0;
	if (len > function->size)
		len = function->size;
	err = code_decode(search->api, function->start, bytes, len, function->lands, &code);
	if (err)
		return err;
	err = add_function(search, &code, function->gap, candidates, count);
	code_free(&code);
	return err;
}

/* --- a file */

static bool looks_like_one(const uint8_t *at, size_t len)
{
	if (len >= 2 && ((at[0] == 0x0f && (at[1] == 0x05 || at[1] == 0x34)) || (at[0] == 0xcd && at[1] == 0x80)))
		return true;
	/* the low half of an address in the vsyscall page */
	return len >= 4 && at[0] == 0 && (at[1] & 0xf3) == 0 && at[2] == 0x60 && at[3] == 0xff;
}

struct candidates {
	uint64_t *items;
	size_t count, room;
};

static int add_candidate(struct candidates *candidates, uint64_t address)
{
	if (candidates->count == candidates->room) {
		size_t room = candidates->room ? candidates->room * 2 : 1024;
		uint64_t *items = realloc(candidates->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		candidates->items = items;
		candidates->room = room;
	}
	candidates->items[candidates->count++] = address;
	return 0;
}

static int find_candidates(const struct elfobject_code *code, struct candidates *ret)
{
	int err = 0;

	for (size_t i = 0; !err && i < code->size; i++) {
		if (looks_like_one(code->bytes + i, code->size - i))
			err = add_candidate(ret, code->address + i);
	}
	return err;
}

/* What is in no function may be code without tables, written by hand, or data. */
static void find_function(const struct search *search, const struct elfobject_code *code, uint64_t address,
			  struct function *ret)
{
	uint64_t end = code->address + code->size;

	if (!functions_around(&search->functions, address, ret))
		functions_gap(&search->functions, address, ret);
	if (ret->start < code->address) {
		ret->size -= code->address - ret->start;
		ret->start = code->address;
	}
	if (ret->size > end - ret->start)
		ret->size = end - ret->start;
}

/* Candidates are in order: those of one function stand together. */
static int decode_candidates(struct search *search, const struct elfobject_code *code,
			     const struct candidates *candidates)
{
	int err = 0;

	for (size_t i = 0, n; !err && i < candidates->count; i += n) {
		struct function function;

		find_function(search, code, candidates->items[i], &function);
		for (n = 1; i + n < candidates->count; n++) {
			struct function other;

			find_function(search, code, candidates->items[i + n], &other);
			if (other.start != function.start || other.size != function.size)
				break;
		}
		err = decode_function(search, &function, candidates->items + i, n);
	}
	return err;
}

static int search_code(struct search *search, const struct elfobject_code *code)
{
	struct candidates candidates = { 0 };
	int err = find_candidates(code, &candidates);

	if (!err)
		err = decode_candidates(search, code, &candidates);
	free(candidates.items);
	return err;
}

static int compare(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return (int)y->verdict - (int)x->verdict;
}

/* Functions may share code: of a call that was found twice the worse is kept. */
static void sort(struct sites *sites)
{
	size_t kept = 0;

	if (sites->count == 0)
		return;
	qsort(sites->items, sites->count, sizeof(sites->items[0]), compare);
	for (size_t i = 1; i < sites->count; i++) {
		if (sites->items[i].address != sites->items[kept].address)
			sites->items[++kept] = sites->items[i];
	}
	sites->count = kept + 1;
}

/**
 * sites_find() - every system call in a file that goes past libc's functions
 * @obj:    the file, of a machine that the disassembler knows; names are its own
 * @api:    the disassembler, open
 * @loader: it is the dynamic loader
 * @ret:    the calls, for sites_free()
 *
 * Return: 0 or negative errno.
 */
int sites_find(const struct elfobject *obj, const struct disasm_api *api, bool loader, struct sites *ret)
{
	struct search search = { .obj = obj, .api = api, .loader = loader };
	struct elfobject_code code;
	int err = functions_read(obj, &search.functions);

	for (size_t i = 0; !err && elfobject_code(obj, i, &code); i++)
		err = search_code(&search, &code);
	functions_free(&search.functions);
	if (err) {
		sites_free(&search.sites);
		return err;
	}
	sort(&search.sites);
	*ret = search.sites;
	return 0;
}

/**
 * sites_free() - give their memory back
 * @sites: the calls
 */
void sites_free(struct sites *sites)
{
	free(sites->items);
	sites->items = NULL;
	sites->count = 0;
}

/**
 * sites_kind_text() - how a call is made
 * @kind: the kind
 */
const char *sites_kind_text(enum site_kind kind)
{
	static const char *const texts[] = { "syscall", "sysenter", "int 0x80", "vsyscall" };

	return texts[kind];
}

/**
 * sites_verdict_text() - what becomes of a call, in one word
 * @verdict: the verdict
 */
const char *sites_verdict_text(enum site_verdict verdict)
{
	static const char *const texts[] = { "hooked", "harmless", "transient", "patchable", "unknown" };

	return texts[verdict];
}
