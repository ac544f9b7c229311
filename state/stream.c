/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stream.c - QEMU's migration stream; see stream.h. */
#include "stream.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "codec.h"

/* Values of QEMU's migration/savevm.h and migration/ram.c; they are the stream's format. */
#define VM_FILE_MAGIC	  0x5145564dU
#define VM_FILE_VERSION	  3U
#define SECTION_START	  0x01
#define SECTION_FULL	  0x04
#define SUBSECTION	  0x05
#define VMDESCRIPTION	  0x06
#define CONFIGURATION	  0x07
#define SECTION_FOOTER	  0x7e
#define FOOTER_BYTES	  5u
#define RAM_VERSION	  4U
#define RAM_FLAG_MEM_SIZE 0x04
#define RAM_FLAG_EOS	  0x10
/* Any section number does that no device has; QEMU counts up from 0. */
#define RAM_SECTION_ID 0x7fff0001U

static void put_be(struct codec_writer *w, uint64_t value, size_t width)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < width; i++)
		bytes[i] = (uint8_t)(value >> 8 * (width - 1 - i));
	codec_put_raw(w, bytes, width);
}

static uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/**
 * stream_check_saved() - is this what xen-save-devices-state writes?
 * @saved: the file's bytes
 * @len:   how many
 *
 * Return: 0, or -EBADMSG.
 */
int stream_check_saved(const uint8_t *saved, size_t len)
{
	if (len < STREAM_HEADER + 1 + FOOTER_BYTES + 1 || get_be32(saved) != VM_FILE_MAGIC ||
	    get_be32(saved + 4) != VM_FILE_VERSION)
		return -EBADMSG;
	/*
	 * Full sections follow, the last with a footer (machine types up to 2.3 have none); the end-of-file byte ends
	 * it.
	 */
	if (saved[STREAM_HEADER] != SECTION_FULL || saved[len - 1 - FOOTER_BYTES] != SECTION_FOOTER ||
	    saved[len - 1] != 0)
		return -EBADMSG;
	return 0;
}

/* Is a section's name of @n bytes, after its length, at @at? All sections but the first follow a footer. */
static bool is_section(const uint8_t *saved, size_t len, size_t at, size_t n)
{
	size_t begin = at - 5;

	return at >= STREAM_HEADER + 5 && at + 1 + n + 8 <= len && saved[begin] == SECTION_FULL &&
	       (begin == STREAM_HEADER ||
		(begin >= STREAM_HEADER + FOOTER_BYTES && saved[begin - FOOTER_BYTES] == SECTION_FOOTER));
}

/* The instance of the next section of this name, which is given with its length before it, or NULL; from @at on. */
static uint8_t *next_instance(uint8_t *saved, size_t len, size_t *at, const char *name, size_t n)
{
	uint8_t *found;

	while ((found = *at < len ? memmem(saved + *at, len - *at, name, n + 1) : NULL)) {
		*at = (size_t)(found - saved) + 1;
		if (is_section(saved, len, *at - 1, n))
			return found + 1 + n;
	}
	return NULL;
}

/**
 * stream_renumber() - give sections of one name the numbers that a QEMU that has just started gives
 * @saved: what xen-save-devices-state wrote; changed
 * @len:   its length
 * @name:  of sections that QEMU numbers as they are made
 *
 * Newer QEMUs give each new one a number above all that there are, so that one that is gone leaves a gap
 * (migration/savevm.c:calculate_new_instance_id); older ones number none. Sections stand in the order in which they were
 * made, and so are made again.
 *
 * Return: how many there are that are numbered.
 */
size_t stream_renumber(uint8_t *saved, size_t len, const char *name)
{
	char wanted[256];
	size_t n = strlen(name), at = 0;
	uint32_t count = 0;
	bool numbered = false;
	uint8_t *instance;

	if (snprintf(wanted, sizeof(wanted), "%c%s", (int)n, name) >= (int)sizeof(wanted))
		return 0;
	while ((instance = next_instance(saved, len, &at, wanted, n)))
		numbered |= get_be32(instance) != 0;
	at = numbered ? 0 : len;
	while ((instance = next_instance(saved, len, &at, wanted, n))) {
		for (int byte = 0; byte < 4; byte++)
			instance[byte] = (uint8_t)(count >> (24 - 8 * byte));
		count++;
	}
	return count;
}

static int put_blocks(struct codec_writer *w, const struct stream_block *blocks, size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += blocks[i].used;
	put_be(w, sum | RAM_FLAG_MEM_SIZE, 8);
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(blocks[i].name);

		/* QEMU reads blocks until it has the sum: one of no bytes could be left in the stream. */
		if (!len || len > 255 || !blocks[i].used || blocks[i].used % 4096)
			return -EINVAL;
		put_be(w, len, 1);
		codec_put_raw(w, blocks[i].name, len);
		put_be(w, blocks[i].used, 8);
	}
	put_be(w, RAM_FLAG_EOS, 8);
	return 0;
}

/* migration/savevm.c:vmstate_target_page_bits */
static void put_page_bits(struct codec_writer *w, uint32_t bits)
{
	static const char name[] = "configuration/target-page-bits";

	put_be(w, SUBSECTION, 1);
	put_be(w, sizeof(name) - 1, 1);
	codec_put_raw(w, name, sizeof(name) - 1);
	put_be(w, 1, 4); /* version */
	put_be(w, bits, 4);
}

/**
 * stream_prefix() - what goes before the devices' sections, from the stream's first byte
 * @buf:     where it goes
 * @size:    room there
 * @machine: the machine class, such as "pc-q35-7.2"
 * @page_bits: size of the guest's pages as a power of two, where the target has several; else 0
 * @blocks:  the RAM blocks that migrate
 * @count:   how many
 * @ret_len: bytes written
 *
 * The saved state follows from its byte STREAM_HEADER on. The "ram" section has a setup part and no pages, so the
 * loading QEMU checks and resizes blocks and touches no contents.
 *
 * Return: 0, -EINVAL for a name or size that the format cannot hold, -ENOSPC.
 */
int stream_prefix(uint8_t *buf, size_t size, const char *machine, uint32_t page_bits, const struct stream_block *blocks,
		  size_t count, size_t *ret_len)
{
	struct codec_writer w = { .buf = buf, .size = size };

	put_be(&w, VM_FILE_MAGIC, 4);
	put_be(&w, VM_FILE_VERSION, 4);
	put_be(&w, CONFIGURATION, 1);
	put_be(&w, strlen(machine), 4);
	codec_put_raw(&w, machine, strlen(machine));
	if (page_bits)
		put_page_bits(&w, page_bits);
	put_be(&w, SECTION_START, 1);
	put_be(&w, RAM_SECTION_ID, 4);
	put_be(&w, 3, 1);
	codec_put_raw(&w, "ram", 3);
	put_be(&w, 0, 4); /* instance */
	put_be(&w, RAM_VERSION, 4);
	int rc = *machine ? put_blocks(&w, blocks, count) : -EINVAL; /* QEMU takes "" for any machine */
	put_be(&w, SECTION_FOOTER, 1);
	put_be(&w, RAM_SECTION_ID, 4);
	if (rc)
		return rc;
	if (w.failed)
		return -ENOSPC;
	*ret_len = w.len;
	return 0;
}

/** stream_suffix() - what goes after the saved state: an empty description of it */
void stream_suffix(uint8_t buf[STREAM_SUFFIX])
{
	struct codec_writer w = { .buf = buf, .size = STREAM_SUFFIX };

	put_be(&w, VMDESCRIPTION, 1);
	put_be(&w, 0, 4);
}
