/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ramblock.c - QEMU's list of RAM blocks; see ramblock.h. */
#include "ramblock.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* "4", "KiB" as util/cutils.c:size_to_str prints them; 0 where it is something else. */
static uint64_t page_size(const char *number, const char *unit)
{
	static const char prefixes[] = "KMG";
	const char *prefix = strchr(prefixes, unit[0]);
	uint64_t n = 0;

	while (isdigit((unsigned char)*number) && n < 1024)
		n = n * 10 + (uint64_t)(*number++ - '0');
	return *number || !*unit || !prefix || strcmp(unit + 1, "iB") != 0 ? 0 : n << 10 * (prefix - prefixes + 1);
}

/*
 * A line is: name, page size (a number and a unit), offset, used, total, and from 8.1 on address and "ro" or "rw". A
 * name may be empty and never holds a space, so the fields are counted from the right of the page size's unit.
 */
static bool parse_line(const char *line, size_t len, struct ramblock *ret)
{
	char text[512], name[RAMBLOCK_NAME];
	uint64_t offset, host = 0;

	if (len >= sizeof(text))
		return false;
	memcpy(text, line, len);
	text[len] = '\0';
	memset(ret, 0, sizeof(*ret));
	ret->fd = -1;
	char *hex = strstr(text, " 0x");
	if (!hex || sscanf(hex, " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64 " 0x%" SCNx64, &offset, &ret->used, &ret->max,
			   &host) < 3)
		return false;
	*hex = '\0';
	/* What is left is "name size unit", or "size unit". */
	char size[16], unit[16], more[2];
	int words = sscanf(text, "%255s %15s %15s %1s", name, size, unit, more);
	if (words == 3)
		strcpy(ret->name, name);
	ret->host = host;
	if (words == 2 || words == 3)
		ret->page = words == 3 ? page_size(size, unit) : page_size(name, size);
	return ret->page && ret->used <= ret->max;
}

/**
 * ramblock_parse() - read the output of "info ramblock"
 * @text:      what QEMU printed, the heading included
 * @ret:       the blocks, in QEMU's order
 * @max:       how many fit
 * @ret_count: how many there are
 *
 * Return: 0, -EBADMSG where a line is not understood, -E2BIG.
 */
int ramblock_parse(const char *text, struct ramblock *ret, size_t max, size_t *ret_count)
{
	size_t n = 0;

	text = strchr(text, '\n'); /* the heading */
	while (text && *++text) {
		size_t len = strcspn(text, "\r\n");

		if (len) {
			if (n == max)
				return -E2BIG;
			if (!parse_line(text, len, &ret[n]))
				return -EBADMSG;
			n++;
		}
		text = strchr(text, '\n');
	}
	*ret_count = n;
	return n ? 0 : -EBADMSG;
}

/* How much is mapped for a block (softmmu/physmem.c:file_ram_alloc). */
static uint64_t mapped_size(const struct ramblock *block)
{
	return (block->max + block->page - 1) / block->page * block->page;
}

/*
 * The mapping of block @index by order of creation. That order tells something only where every mapping of this size is
 * a block's and every block's mapping is there: else NULL.
 */
static const struct ramblock_mapping *by_order(const struct ramblock *blocks, size_t count, size_t index,
					       const struct ramblock_mapping *maps, size_t map_count)
{
	const struct ramblock_mapping *found = NULL;
	uint64_t size = mapped_size(&blocks[index]);
	size_t same = 0, before = 0, mapped = 0;

	for (size_t i = 0; i < count; i++) {
		if (blocks[i].copied)
			continue;
		same += mapped_size(&blocks[i]) == size;
		before += i < index && mapped_size(&blocks[i]) == size;
	}
	for (size_t i = 0; i < map_count; i++) {
		size_t older = 0;

		if (maps[i].size != size)
			continue;
		mapped++;
		for (size_t j = 0; j < map_count; j++)
			older += maps[j].size == size && maps[j].seq < maps[i].seq;
		if (older == before)
			found = &maps[i];
	}
	return mapped == same ? found : NULL;
}

static const struct ramblock_mapping *by_address(const struct ramblock_mapping *maps, size_t count, uint64_t addr)
{
	for (size_t i = 0; i < count; i++)
		if (maps[i].addr == addr)
			return &maps[i];
	return NULL;
}

/**
 * ramblock_assign() - find the mapping of each block that has a name, copied ones excepted
 * @blocks:    the blocks, in QEMU's order; host, fd and offset are filled in
 * @count:     how many
 * @maps:      the mappings
 * @map_count: how many
 * @ret_why:   on failure: the name of the block without a mapping
 *
 * Return: 0, or -ENOENT.
 */
int ramblock_assign(struct ramblock *blocks, size_t count, const struct ramblock_mapping *maps, size_t map_count,
		    const char **ret_why)
{
	for (size_t i = 0; i < count; i++) {
		const struct ramblock_mapping *map;

		if (!blocks[i].name[0] || blocks[i].copied)
			continue;
		map = blocks[i].host ? by_address(maps, map_count, blocks[i].host)
				     : by_order(blocks, count, i, maps, map_count);
		if (!map || map->size != mapped_size(&blocks[i])) {
			*ret_why = blocks[i].name;
			return -ENOENT;
		}
		blocks[i].host = map->addr;
		blocks[i].fd = map->fd;
		blocks[i].offset = map->offset;
	}
	return 0;
}

/** ramblock_find() - a block by its name, or NULL */
const struct ramblock *ramblock_find(const struct ramblock *blocks, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(blocks[i].name, name))
			return &blocks[i];
	return NULL;
}
