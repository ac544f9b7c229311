/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_stream.c - libFuzzer on what is put around saved device state, and on the check of what QEMU saved; see run. */
#include "state/stream.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input's strings are the machine type and names of blocks; their lengths are the blocks' sizes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream_block blocks[BLOCKS];
	size_t count = 0, len = 0, room = size % 4096;
	char *text = malloc(size + 1);
	uint8_t *buf = malloc(room ? room : 1);

	if (!text || !buf)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	stream_check_saved(data, size);
	stream_renumber((uint8_t *)text, size, "slirp");
	memcpy(text, data, size);
	for (char *at = text + strlen(text) + 1; at < text + size && count < BLOCKS; at += strlen(at) + 1)
		blocks[count++] = (struct stream_block){ .name = at, .used = strlen(at) * 4096 };
	if (!stream_prefix(buf, room, text, 0, blocks, count, &len) && len > room)
		abort();
	free(buf);
	free(text);
	return 0;
}
