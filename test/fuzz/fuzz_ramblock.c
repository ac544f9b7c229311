/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_ramblock.c - libFuzzer on QEMU's list of RAM blocks, and on which mapping is whose; see run. */
#include "state/ramblock.h"

#include <stdlib.h>
#include <string.h>

#define MAPS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ramblock blocks[RAMBLOCK_MAX];
	struct ramblock_mapping maps[MAPS];
	char *text = malloc(size + 1);
	const char *why;
	size_t count;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (!ramblock_parse(text, blocks, RAMBLOCK_MAX, &count)) {
		/* Mappings as large as the blocks, so that some find theirs. */
		for (size_t i = 0; i < MAPS; i++)
			maps[i] = (struct ramblock_mapping){
				.addr = (i + 1) << 32, .size = i < count ? blocks[i].max : 4096, .seq = i, .fd = (int)i
			};
		if (!ramblock_assign(blocks, count, maps, MAPS, &why))
			for (size_t i = 0; i < count; i++)
				if (blocks[i].name[0] && !blocks[i].host)
					abort();
		ramblock_find(blocks, count, "pc.ram");
	}
	free(text);
	return 0;
}
