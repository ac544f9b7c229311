/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_ramblock.c - QEMU's list of RAM blocks.
 *
 * test/golden/ramblock-*.txt is what QEMU 7.2.22 and 10.0.2 printed for "info ramblock", started with
 * -M q35|pc -m 512 -vga std -device virtio-net-pci.
 */
#include "state/ramblock.h"

#include "test/unit/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 9

#define HEADING "              Block Name    PSize              Offset               Used              Total\n"
#define NUMBERS " 0x0000000000000000 0x0000000000001000 0x0000000000002000"

static const char *load(const char *name)
{
	static char text[16384];
	const char *source = getenv("CPRSHIM_SRCDIR");
	char path[4096];

	snprintf(path, sizeof(path), "%s/test/golden/ramblock-%s.txt", source ? source : ".", name);
	FILE *file = fopen(path, "r");
	size_t n = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	if (file)
		fclose(file);
	text[n] = '\0';
	return text;
}

/* The blocks of the golden files, in the order in which QEMU makes them. */
static const char *const by_creation[BLOCKS] = { "pc.ram",	"pc.bios",	    "pc.rom",
						 "vga.vram",	"vga.rom",	    "net-pci.rom",
						 "acpi/tables", "etc/table-loader", "acpi/rsdp" };

static uint64_t creation(const char *name)
{
	for (uint64_t i = 0; i < BLOCKS; i++) {
		size_t len = strlen(by_creation[i]);

		if (strlen(name) >= len && !strcmp(name + strlen(name) - len, by_creation[i]))
			return i + 1;
	}
	return 0;
}

static void test_real(const char *name, bool addresses)
{
	struct ramblock blocks[RAMBLOCK_MAX];
	size_t n = 0;
	int rc = ramblock_parse(load(name), blocks, RAMBLOCK_MAX, &n);

	ok(rc == 0 && n == BLOCKS, "%s: all blocks are read", name);
	const struct ramblock *ram = ramblock_find(blocks, n, "pc.ram");
	const struct ramblock *tables = ramblock_find(blocks, n, "/rom@etc/acpi/tables");
	ok(ram == blocks && ram->used == 512u << 20 && ram->max == 512u << 20 && ram->fd == -1, "%s: pc.ram", name);
	ok(tables && tables->used == 0x20000 && tables->max == 0x200000, "%s: used and total length differ", name);
	bool all = true;
	for (size_t i = 0; i < n; i++)
		all = all && creation(blocks[i].name) && (blocks[i].host != 0) == addresses;
	ok(all, "%s: each has its name, and %s address", name, addresses ? "its" : "no");
	ok(!ramblock_find(blocks, n, "pc.ra") && !ramblock_find(blocks, n, ""), "%s: no other name is found", name);
}

/* The order alone must lead to the addresses that QEMU itself prints. */
static void test_order(const char *name)
{
	struct ramblock blocks[RAMBLOCK_MAX], truth[RAMBLOCK_MAX];
	struct ramblock_mapping maps[BLOCKS];
	const char *why = "";
	size_t n = 0;
	bool same = true;

	ramblock_parse(load(name), truth, RAMBLOCK_MAX, &n);
	if (!ok(n == BLOCKS, "%s: all blocks are read", name))
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t seq = creation(truth[i].name);

		/* The maps in no order at all: seq is what counts. */
		maps[i * 4 % n] = (struct ramblock_mapping){ .addr = truth[i].host,
							     .size = truth[i].max,
							     .seq = seq * 10,
							     .fd = (int)seq + 100,
							     .offset = seq << 12 };
		blocks[i] = truth[i];
		blocks[i].host = 0;
	}
	ok(ramblock_assign(blocks, n, maps, n, &why) == 0, "%s: all blocks are found by order", name);
	for (size_t i = 0; i < n; i++)
		same = same && blocks[i].host == truth[i].host && blocks[i].fd == (int)creation(truth[i].name) + 100 &&
		       blocks[i].offset == creation(truth[i].name) << 12;
	ok(same, "%s: where QEMU says that they are", name);
	for (size_t i = 0; i < n; i++)
		blocks[i] = truth[i];
	ok(ramblock_assign(blocks, n, maps, n, &why) == 0 && blocks[3].fd == (int)creation(truth[3].name) + 100,
	   "%s: and by address", name);
	blocks[2].host += 4096;
	ok(ramblock_assign(blocks, n, maps, n, &why) == -ENOENT && why == blocks[2].name,
	   "%s: an address that no mapping has is said", name);
}

static struct ramblock block(const char *name, uint64_t max)
{
	struct ramblock b = { .used = max, .max = max, .page = 4096, .fd = -1 };

	strcpy(b.name, name);
	return b;
}

static void test_ambiguous(void)
{
	struct ramblock blocks[] = { block("a", 8192), block("b", 8192), block("", 4096), block("c", 4096) };
	struct ramblock_mapping maps[] = {
		{ .addr = 0x10000, .size = 8192, .seq = 5, .fd = 5 },
		{ .addr = 0x20000, .size = 8192, .seq = 2, .fd = 2 },
		{ .addr = 0x30000, .size = 4096, .seq = 1, .fd = 1 },
		{ .addr = 0x40000, .size = 4096, .seq = 9, .fd = 9 },
		{ .addr = 0x50000, .size = 8192, .seq = 7, .fd = 7 },
	};
	struct ramblock fresh[4];
	const char *why = "";

	memcpy(fresh, blocks, sizeof(fresh));
	ok(ramblock_assign(blocks, 4, maps, 4, &why) == 0 && blocks[0].fd == 2 && blocks[1].fd == 5,
	   "blocks of one size take mappings in the order of their creation");
	ok(blocks[3].fd == 9 && blocks[2].fd == -1 && !blocks[2].host,
	   "a block without a name takes its turn, and no memory");
	memcpy(blocks, fresh, sizeof(fresh));
	ok(ramblock_assign(blocks, 4, maps, 5, &why) == -ENOENT && !strcmp(why, "a"),
	   "a mapping of that size too many: nobody knows whose each is");
	memcpy(blocks, fresh, sizeof(fresh));
	ok(ramblock_assign(blocks, 4, maps, 3, &why) == -ENOENT && !strcmp(why, "c"), "as with one too few");
	memcpy(blocks, fresh, sizeof(fresh));
	blocks[3].copied = true;
	ok(ramblock_assign(blocks, 4, maps, 3, &why) == 0 && blocks[2].fd == -1 && blocks[3].fd == -1,
	   "a block that is copied has no mapping, and takes no turn");
	memcpy(blocks, fresh, sizeof(fresh));
	blocks[0] = block("odd", 6000);
	ok(ramblock_assign(blocks, 1, maps, 1, &why) == 0, "a size that is no multiple of a page takes whole pages");
	blocks[0].page = 8192;
	ok(ramblock_assign(blocks, 1, maps, 1, &why) == 0, "and whole huge pages");
	ok(ramblock_assign(blocks, 1, maps + 3, 1, &why) == -ENOENT, "which a smaller mapping is not");
	ok(ramblock_assign(blocks, 0, maps, 5, &why) == 0, "no blocks need no mapping");
	ok(!ramblock_find(fresh, 4, "d") && ramblock_find(fresh, 4, "b") == &fresh[1], "a block is found by its name");
}

static int parse(const char *text, struct ramblock *ret, size_t max)
{
	size_t n;

	return ramblock_parse(text, ret, max, &n);
}

static void test_lines(void)
{
	static const char *const bad[] = {
		"",
		"\n",
		HEADING,
		HEADING "\r\n\r\n",
		"no heading 4 KiB" NUMBERS,
		HEADING "   x    4 KiB  0x0 0x1000\n", /* a number too few */
		HEADING "   x" NUMBERS "\n",	       /* no page size */
		HEADING "   x KiB" NUMBERS "\n",       /* no number in it */
		HEADING "   x    0 KiB" NUMBERS "\n",  /* a page of no size */
		HEADING "   x    4 XiB" NUMBERS "\n",
		HEADING "   x    4 K" NUMBERS "\n",
		HEADING "   x    4x KiB" NUMBERS "\n",
		HEADING "   two words    4 KiB" NUMBERS "\n", /* QEMU's names have no spaces */
		HEADING "   x    4 KiB  0x0 0x3000 0x2000\n", /* used more than there is */
		HEADING "   x    4 KiB  0x0 zzz 0x2000\n",
		HEADING "   x    4 KiB  0xzz 0x1000 0x2000\n",
		HEADING "   x    4 KiB" NUMBERS "\nunknown command\n",
		HEADING "Error: no such thing\n",
	};
	struct ramblock blocks[2];
	char text[2048], name[RAMBLOCK_NAME];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(parse(bad[i], blocks, 2) == -EBADMSG, "text %zu is not taken for a list", i);
	ok(parse(HEADING "          4 KiB" NUMBERS "\n", blocks, 2) == 0 && !blocks[0].name[0] &&
		   blocks[0].max == 0x2000,
	   "a block without a name");
	ok(parse(HEADING "   mem    2 MiB" NUMBERS "\r\n\r\n", blocks, 2) == 0 && !strcmp(blocks[0].name, "mem") &&
		   blocks[0].page == 2 << 20,
	   "huge pages, and a monitor's line ends");
	ok(parse(HEADING "  x 4 KiB" NUMBERS, blocks, 2) == 0 && blocks[0].used == 0x1000, "no line end at the end");
	ok(parse(HEADING " x 4 KiB" NUMBERS " 0x00007fa8a9e00000  rw\n", blocks, 2) == 0 &&
		   blocks[0].host == 0x7fa8a9e00000,
	   "an address");
	ok(parse(HEADING " x 4 KiB" NUMBERS "\n y 4 KiB" NUMBERS "\n z 4 KiB" NUMBERS "\n", blocks, 2) == -E2BIG,
	   "more blocks than fit");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(text, sizeof(text), HEADING "%s    4 KiB" NUMBERS "\n", name);
	ok(parse(text, blocks, 2) == 0 && !strcmp(blocks[0].name, name), "the longest name");
	snprintf(text, sizeof(text), HEADING "n%s    4 KiB" NUMBERS "\n", name);
	ok(parse(text, blocks, 2) == -EBADMSG, "a longer one");
	snprintf(text, sizeof(text), HEADING "%s%s%s    4 KiB" NUMBERS "\n", name, name, name);
	ok(parse(text, blocks, 2) == -EBADMSG, "and a far longer one");
}

int main(void)
{
	test_real("7.2-q35", false);
	test_real("7.2-pc", false);
	test_real("10.0-q35", true);
	test_real("10.0-pc", true);
	test_order("10.0-q35");
	test_order("10.0-pc");
	test_ambiguous();
	test_lines();
	return tap_done();
}
