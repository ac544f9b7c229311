/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ramblock.h - QEMU's list of RAM blocks, as "info ramblock" prints it, and which mapping belongs to which block.
 *
 * A block's name says what it is, whatever its place in the list. QEMU from 8.1 on prints where each block is mapped;
 * older ones do not, but keep their list sorted "from biggest to smallest", a new block before the first smaller one
 * (softmmu/physmem.c:ram_block_add), so that blocks of one size stand in the order in which they were made.
 */
#ifndef CPRSHIM_STATE_RAMBLOCK_H
#define CPRSHIM_STATE_RAMBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAMBLOCK_NAME 256
#define RAMBLOCK_MAX  512

/**
 * struct ramblock - one block
 * @name: QEMU's; "" for blocks that do not migrate and have none
 * @used: used length
 * @max:  largest length it can be resized to
 * @page: size of its pages
 * @host: address, 0 where not known
 * @fd:	  descriptor of its memory, -1 where not known
 * @offset: where in it
 * @copied: it is in QEMU's heap, and so in no mapping: its contents are copied
 */
struct ramblock {
	char name[RAMBLOCK_NAME];
	uint64_t used;
	uint64_t max;
	uint64_t page;
	uint64_t host;
	int fd;
	uint64_t offset;
	bool copied;
};

/**
 * struct ramblock_mapping - a mapping that may be a block's
 * @addr, @size: where
 * @seq:  order of creation
 * @fd, @offset: its memory
 */
struct ramblock_mapping {
	uint64_t addr;
	uint64_t size;
	uint64_t seq;
	int fd;
	uint64_t offset;
};

int ramblock_parse(const char *text, struct ramblock *ret, size_t max, size_t *ret_count);
int ramblock_assign(struct ramblock *blocks, size_t count, const struct ramblock_mapping *maps, size_t map_count,
		    const char **ret_why);
const struct ramblock *ramblock_find(const struct ramblock *blocks, size_t count, const char *name);

#endif
