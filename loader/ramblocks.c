/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ramblocks.c - the guest's RAM blocks; see ramblocks.h. */
#include "ramblocks.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/ram.h"
#include "../shim/ramshadow.h"
#include "../shim/ramview.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "../shim/table.h"
#include "clock.h"
#include "fault.h"
#include "qmp.h"

/*
 * The memory of a block that has been taken off the list (a ROM of a device that was unplugged) is freed a little later
 * (softmmu/physmem.c:qemu_ram_free, call_rcu()). Where QEMU's list has no addresses, it is one too many until then.
 */
#define RECLAIM_MS 1000
#define AGAIN_MS   5

/* QEMU's own iterator (include/exec/cpu-common.h), where the binary exports it; the same from 7.2 to 10.0. */
typedef int block_fn(void *block, void *opaque);
typedef int foreach_fn(block_fn *fn, void *opaque);
typedef const char *name_fn(void *block);
typedef void *host_fn(void *block);

struct cross_check {
	struct ramblock *blocks;
	size_t count;
	name_fn *name;
	host_fn *host;
	const char *differs;
};

static int compare_one(void *block, void *opaque)
{
	struct cross_check *c = opaque;
	const char *name = c->name(block);

	for (size_t i = 0; *name && i < c->count; i++)
		if (!strcmp(c->blocks[i].name, name) && c->blocks[i].host != (uintptr_t)c->host(block))
			c->differs = c->blocks[i].name;
	return 0;
}

/* Two ways to the same answer must agree: guest memory under the wrong name would be the end of the guest. */
static bool agrees_with_qemu(struct ramblock *blocks, size_t count, const char **ret_name)
{
	struct cross_check c = { .blocks = blocks, .count = count };
	foreach_fn *each = (foreach_fn *)real_symbol("qemu_ram_foreach_block");

	c.name = (name_fn *)real_symbol("qemu_ram_get_idstr");
	c.host = (host_fn *)real_symbol("qemu_ram_get_host_addr");
	if (each && c.name && c.host)
		each(compare_one, &c);
	*ret_name = c.differs;
	return !c.differs;
}

static size_t mappings(struct ramblock_mapping ret[RAM_MAPS])
{
	struct ram_map *maps = calloc(RAM_MAPS, sizeof(*maps));
	size_t n = maps ? ram_list(maps, RAM_MAPS) : 0;

	for (size_t i = 0; i < n; i++)
		ret[i] = (struct ramblock_mapping){ .addr = maps[i].addr,
						    .size = maps[i].size,
						    .seq = maps[i].seq,
						    .fd = maps[i].shared ? maps[i].fd : -1,
						    .offset = maps[i].offset };
	free(maps);
	return n;
}

/*
 * A TPM's physical presence page is allocated from QEMU's heap (hw/tpm/tpm_ppi.c:tpm_ppi_init). Where the list of blocks
 * does not tell its address, its place in the guest's memory does (include/hw/acpi/tpm.h:TPM_PPI_ADDR_BASE).
 */
static void find_copied(struct ramblock *blocks, size_t count, uint64_t deadline)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(blocks[i].name, "tpm-ppi") != 0)
			continue;
		char *text = blocks[i].host ? NULL : qmp_hmp(&qmp_private, "gpa2hva 0xfed45000", deadline);
		const char *at = text ? strstr(text, "(tpm-ppi) is 0x") : NULL;

		if (at)
			blocks[i].host = strtoull(at + strlen("(tpm-ppi) is "), NULL, 16);
		blocks[i].copied = blocks[i].host != 0;
		free(text);
	}
}

static int list(struct ramblock ret[RAMBLOCK_MAX], size_t *ret_count, uint64_t deadline)
{
	char error[QMP_ERROR_MAX];
	json_t *answer = qmp_command(&qmp_private, "x-query-ramblock", NULL, deadline, error);
	const char *text = json_string_value(json_object_get(answer, "human-readable-text"));
	int rc = text ? ramblock_parse(text, ret, RAMBLOCK_MAX, ret_count) : -EIO;

	json_decref(answer);
	if (!rc)
		find_copied(ret, *ret_count, deadline);
	return rc;
}

static int assign(struct ramblock *blocks, size_t count, const char **ret_why)
{
	static struct ramblock_mapping maps[RAM_MAPS]; /* the service thread alone asks */

	return ramblock_assign(blocks, count, maps, mappings(maps), ret_why);
}

/**
 * ramblocks_query() - list the RAM blocks of this process
 * @ret:	 the blocks, with their memory
 * @ret_count:	 how many
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what is wrong
 *
 * Return: 0, or -EIO with a reason.
 */
int ramblocks_query(struct ramblock ret[RAMBLOCK_MAX], size_t *ret_count, uint64_t deadline_ns, struct reasons *reasons)
{
	uint64_t until = qmp_in_ms(RECLAIM_MS);
	const char *why = "";
	int rc;

	for (;;) {
		if (list(ret, ret_count, deadline_ns)) {
			reasons_add(reasons, BLOCKER_RAM_UNKNOWN, "QEMU's list of RAM blocks is not understood");
			return -EIO;
		}
		rc = assign(ret, *ret_count, &why);
		if (!rc || clock_now() > until)
			break;
		poll(NULL, 0, AGAIN_MS);
	}
	if (rc) {
		if (real_shadowed())
			reasons_add(reasons, BLOCKER_PRELOAD_ORDER, "%s takes mmap() before libcprshim.so",
				    real_shadowed());
		else
			reasons_add(reasons, BLOCKER_RAM_UNKNOWN, "RAM block %s is in no mapping that the shim knows",
				    why);
		return -EIO;
	}
	if (!agrees_with_qemu(ret, *ret_count, &why)) {
		reasons_add(reasons, BLOCKER_RAM_UNKNOWN, "RAM block %s is not where it was looked for", why);
		return -EIO;
	}
	return 0;
}

/** ramblocks_check() - can these blocks be preserved? */
void ramblocks_check(const struct ramblock *blocks, size_t count, struct reasons *reasons)
{
	/* A block that got no memfd of ours has made the table incomplete, which has a sentence of its own. */
	for (size_t i = 0; !table_why_incomplete() && i < count; i++)
		if (blocks[i].name[0] && blocks[i].fd < 0 && !blocks[i].copied)
			reasons_add(reasons, BLOCKER_RAM_PRIVATE, "RAM block %s is a private mapping", blocks[i].name);
}

/**
 * ramblocks_copy() - copy the contents of a block that is in no mapping
 * @block: one that is marked so; the guest is stopped
 *
 * Return: a memfd of ours with the contents, or a negative errno.
 */
int ramblocks_copy(const struct ramblock *block)
{
	int fd = slots_memfd("cprshim-copy");

	if (fd >= 0 && pwrite(fd, (const void *)block->host, block->max, 0) != (ssize_t)block->max) {
		slots_close(fd);
		return -EIO;
	}
	return fd;
}

static void compare(const struct cprstate *state, const struct ramblock *blocks, size_t count, struct reasons *reasons)
{
	size_t named = 0;

	for (size_t i = 0; i < count; i++)
		named += blocks[i].name[0] != '\0';
	for (uint32_t i = 0; i < state->ram_count; i++) {
		const struct cpr_ram *want = &state->ram[i];
		const struct ramblock *have = ramblock_find(blocks, count, want->name);

		if (!have)
			reasons_add(reasons, BLOCKER_RAM_CHANGED, "the new QEMU has no RAM block %s", want->name);
		else if (have->max != want->max)
			reasons_add(reasons, BLOCKER_RAM_CHANGED,
				    "RAM block %s has %" PRIu64 " bytes in the new QEMU, but %" PRIu64 " here",
				    want->name, have->max, want->max);
	}
	if (named > state->ram_count)
		reasons_add(reasons, BLOCKER_RAM_CHANGED, "the new QEMU has %zu RAM blocks, but here are %u", named,
			    state->ram_count);
}

static int match(const struct cprstate *state, struct ramblock *blocks, size_t *ret_count, uint64_t deadline_ns,
		 struct reasons *reasons)
{
	if (ramblocks_query(blocks, ret_count, deadline_ns, reasons))
		return -EIO;
	compare(state, blocks, *ret_count, reasons);
	if (fault_at("ram"))
		reasons_add(reasons, BLOCKER_RAM_CHANGED, "the new QEMU has no RAM block, " FAULT_TEXT);
	return reasons_any(reasons) ? -EIO : 0;
}

/* What ramblocks_match() has found: a QEMU that waits for its devices' state has the same until that has come. */
static struct ramblock matched[RAMBLOCK_MAX];
static size_t matched_count;

/** ramblocks_match() - has this QEMU the blocks that the state names? Arguments and result are ramblocks_remap()'s. */
int ramblocks_match(const struct cprstate *state, uint64_t deadline_ns, struct reasons *reasons)
{
	return match(state, matched, &matched_count, deadline_ns, reasons);
}

/**
 * ramblocks_prepare() - after ramblocks_match(): what ramblocks_remap_matched() can have done beforehand
 * @state:    the CPR state
 * @until_ns: CLOCK_MONOTONIC, how long that may take
 */
void ramblocks_prepare(const struct cprstate *state, uint64_t until_ns)
{
	for (uint32_t i = 0; i < state->ram_count; i++) {
		const struct cpr_ram *want = &state->ram[i];
		const struct ramblock *have = ramblock_find(matched, matched_count, want->name);

		if (!have->copied)
			ram_prepare(have->host, have->max, want->fd, want->offset);
	}
	ramshadow_fill(until_ns);
}

static int place(const struct cprstate *state, const struct ramblock *blocks, size_t count,
		 int (*put)(uintptr_t addr, size_t size, int fd, uint64_t offset), struct reasons *reasons)
{
	for (uint32_t i = 0; i < state->ram_count; i++) {
		const struct cpr_ram *want = &state->ram[i];
		const struct ramblock *have = ramblock_find(blocks, count, want->name);
		int rc = 0;

		if (!have->copied)
			rc = put(have->host, have->max, want->fd, want->offset);
		else if (pread(want->fd, (void *)have->host, have->max, (off_t)want->offset) != (ssize_t)have->max)
			rc = -EIO;
		if (rc) {
			reasons_add(reasons, BLOCKER_RAM_UNKNOWN, "RAM block %s could not be mapped: %s", want->name,
				    strerror(-rc));
			return -EIO;
		}
	}
	return 0;
}

/**
 * ramblocks_view() - in a rehearsal: put a private view of the guest's memory under the blocks (shim/ramview.h)
 *
 * Arguments and result are ramblocks_remap()'s.
 */
int ramblocks_view(const struct cprstate *state, uint64_t deadline_ns, struct reasons *reasons)
{
	static struct ramblock blocks[RAMBLOCK_MAX];
	size_t count;
	int rc = match(state, blocks, &count, deadline_ns, reasons);

	return rc ? rc : place(state, blocks, count, ramview_put, reasons);
}

/** ramblocks_scribble() - in a rehearsal whose load is to be seen writing to all of the guest's memory */
void ramblocks_scribble(uint64_t deadline_ns)
{
	static struct ramblock blocks[RAMBLOCK_MAX];
	struct reasons reasons = REASONS_INIT;
	size_t count;

	if (!ramblocks_query(blocks, &count, deadline_ns, &reasons))
		for (size_t i = 0; i < count; i++)
			if (blocks[i].name[0])
				memset((void *)blocks[i].host, 0xa5, blocks[i].used);
	reasons_free(&reasons);
}

static int map(const struct cprstate *state, const struct ramblock *blocks, size_t count, struct reasons *reasons)
{
	if (place(state, blocks, count, ram_rebind, reasons))
		return -EIO;
	for (uint32_t i = 0; i < state->undiscarded_count; i++) {
		const struct ramblock *block = ramblock_find(blocks, count, state->undiscarded[i].block);

		if (block)
			ram_set_undiscarded(block->host);
	}
	int rc = ram_settle();
	if (rc)
		reasons_add(reasons, BLOCKER_RAM_UNKNOWN, "the memory could not be mapped: %s", strerror(-rc));
	return rc;
}

/**
 * ramblocks_remap() - in a successor: put the preserved memory under its blocks
 * @state:	 the CPR state
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what does not match
 *
 * Nothing is mapped unless all names and sizes match.
 *
 * Return: 0, or -EIO with a reason.
 */
int ramblocks_remap(const struct cprstate *state, uint64_t deadline_ns, struct reasons *reasons)
{
	static struct ramblock blocks[RAMBLOCK_MAX];
	size_t count;

	return match(state, blocks, &count, deadline_ns, reasons) || map(state, blocks, count, reasons) ? -EIO : 0;
}

/**
 * ramblocks_remap_matched() - the same, after ramblocks_match() with a state of the same shape (state/shape.h)
 */
int ramblocks_remap_matched(const struct cprstate *state, uint64_t deadline_ns, struct reasons *reasons)
{
	(void)deadline_ns;
	return map(state, matched, matched_count, reasons);
}

/**
 * ramblocks_release() - after the commit: close what memory came by that has been copied, or is in use under another number
 * @state: the CPR state
 *
 * Else that memory would not be freed when QEMU lets go of it.
 */
void ramblocks_release(const struct cprstate *state)
{
	for (uint32_t i = 0; i < state->ram_count; i++)
		if (!ram_holds(state->ram[i].fd))
			slots_close(state->ram[i].fd);
}
