/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_stream.c - what is put around saved device state, byte by byte as QEMU 7.2 and 10.0 were seen to load it. */
#include "state/stream.h"

#include "test/unit/tap.h"

#include <errno.h>
#include <string.h>

static void test_prefix(void)
{
	static const struct stream_block blocks[] = { { "pc.ram", 512u << 20 }, { "/rom@etc/acpi/tables", 0x20000 } };
	static const char expected[] =
		"QEVM\0\0\0\3"				  /* magic, version */
		"\x07\0\0\0\12pc-q35-7.2"		  /* configuration: length, machine */
		"\x01\x7f\xff\0\1\3ram\0\0\0\0\0\0\0\4"	  /* section: id, name, instance, version */
		"\0\0\0\0\x20\2\0\4"			  /* sum | RAM_SAVE_FLAG_MEM_SIZE */
		"\6pc.ram\0\0\0\0\x20\0\0\0"		  /* block: name, used length */
		"\24/rom@etc/acpi/tables\0\0\0\0\0\2\0\0" /* block */
		"\0\0\0\0\0\0\0\x10"			  /* RAM_SAVE_FLAG_EOS */
		"\x7e\x7f\xff\0\1";			  /* footer */
	const size_t whole = sizeof(expected) - 1;
	uint8_t buf[sizeof(expected)];
	size_t len = 0;
	bool all = true;

	ok(stream_prefix(buf, sizeof(buf), "pc-q35-7.2", 0, blocks, 2, &len) == 0 && len == whole &&
		   !memcmp(buf, expected, len),
	   "the prefix is what it is to be, byte for byte");
	ok(stream_prefix(buf, whole, "pc-q35-7.2", 0, blocks, 2, &len) == 0, "it fits exactly");
	for (size_t size = 0; size < whole; size++) {
		memset(buf, 0xa5, sizeof(buf));
		all = all && stream_prefix(buf, size, "pc-q35-7.2", 0, blocks, 2, &len) == -ENOSPC && buf[size] == 0xa5;
	}
	ok(all, "less room is said to be too little, and nothing is written beyond it");
	ok(stream_prefix(buf, sizeof(buf), "m", 0, NULL, 0, &len) == 0 && len == 8 + 6 + 17 + 8 + 8 + 5,
	   "no blocks are a list too");
}

static void test_page_bits(void)
{
	static const char expected[] = "\x07\0\0\0\1m\5\36configuration/target-page-bits\0\0\0\1\0\0\0\14\1";
	uint8_t buf[256];
	size_t len = 0;

	ok(!stream_prefix(buf, sizeof(buf), "m", 12, NULL, 0, &len) &&
		   !memcmp(buf + STREAM_HEADER, expected, sizeof(expected) - 1),
	   "the size of the guest's pages is a subsection of the configuration");
}

static void test_refused(void)
{
	char name[257];
	uint8_t buf[1024];
	size_t len = 0;
	struct stream_block b = { name, 4096 };

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	ok(stream_prefix(buf, sizeof(buf), "m", 0, &b, 1, &len) == 0 && buf[8 + 6 + 17 + 8] == 255, "the longest name");
	name[255] = 'n';
	name[256] = '\0';
	ok(stream_prefix(buf, sizeof(buf), "m", 0, &b, 1, &len) == -EINVAL, "a longer one is refused");
	b.name = "";
	ok(stream_prefix(buf, sizeof(buf), "m", 0, &b, 1, &len) == -EINVAL, "a block without a name is refused");
	b = (struct stream_block){ "x", 4097 };
	ok(stream_prefix(buf, sizeof(buf), "m", 0, &b, 1, &len) == -EINVAL, "part of a page is refused");
	b.used = 0;
	ok(stream_prefix(buf, sizeof(buf), "m", 0, &b, 1, &len) == -EINVAL, "a block of no bytes is refused");
	b.used = UINT64_C(1) << 40;
	ok(stream_prefix(buf, sizeof(buf), "m", 0, &b, 1, &len) == 0 && buf[8 + 6 + 17 + 2] == 1, "a TiB is not");
	ok(stream_prefix(buf, sizeof(buf), "", 0, &b, 1, &len) == -EINVAL,
	   "QEMU would take an empty machine type for any");
}

static void test_suffix(void)
{
	uint8_t buf[STREAM_SUFFIX];

	stream_suffix(buf);
	ok(!memcmp(buf, "\x06\0\0\0\0", sizeof(buf)), "the suffix is an empty description");
}

/*
 * How each real one begins and ends: QEMU 7.2.22, -M pc-q35-7.2, whose first section is "timer"; its last one
 * shortened.
 */
static const uint8_t saved[] = { 'Q', 'E', 'V', 'M', 0, 0, 0, 3, 0x04, 0, 0, 0, 0, 5, 't',  'i', 'm', 'e', 'r',	 0, 0,
				 0,   0,   0,	0,   0, 2, 0, 0, 0,    0, 0, 0, 0, 9, 0x7e, 0,	 0,   0,   0x27, 0 };

static void test_saved(void)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
	} wrong[] = {
		{ "another magic", 0, 'q' },
		{ "another version", 7, 2 },
		{ "a configuration section (a whole migration)", 8, 0x07 },
		{ "an end of file at once", 8, 0 },
		{ "no end of file", sizeof(saved) - 1, 1 },
		{ "no footer before it (a machine type before 2.4)", sizeof(saved) - 6, 0 },
	};
	uint8_t copy[sizeof(saved)];
	size_t kept = 0;

	ok(stream_check_saved(saved, sizeof(saved)) == 0, "what xen-save-devices-state writes is taken");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		memcpy(copy, saved, sizeof(copy));
		copy[wrong[i].at] = wrong[i].value;
		ok(stream_check_saved(copy, sizeof(copy)) == -EBADMSG, "%s is refused", wrong[i].name);
	}
	for (size_t len = 0; len < sizeof(saved); len++)
		kept += stream_check_saved(saved, len) == 0;
	ok(!kept, "each of its truncations is refused");
	ok(stream_check_saved(saved, 0) == -EBADMSG, "nothing is refused");
}

static void test_renumber(void)
{
	/* A section of that name with instance 2, its footer, a false one in its data, and one with instance 5. */
	static const uint8_t before[] = { 'Q', 'E', 'V', 'M', 0, 0, 0,	  3, 0x04, 0, 0,    0, 9, 2,   'n', 'c', 0,
					  0,   0,   2,	 0,   0, 0, 1,	  4, 0,	   0, 0,    0, 2, 'n', 'c', 0,	 0,
					  0,   7,   0,	 0,   0, 1, 0x7e, 0, 0,	   0, 9,    4, 0, 0,   0,   8,	 2,
					  'n', 'c', 0,	 0,   0, 5, 0,	  0, 0,	   1, 0x7e, 0, 0, 0,   8,   0 };
	uint8_t copy[sizeof(before)];

	memcpy(copy, before, sizeof(copy));
	ok(stream_renumber(copy, sizeof(copy), "nc") == 2, "two sections are found");
	ok(copy[19] == 0 && copy[56] == 1, "they are numbered from 0");
	ok(copy[35] == 7, "what only looks like one is left alone");
	memcpy(copy, before, sizeof(copy));
	ok(stream_renumber(copy, sizeof(copy), "other") == 0 && !memcmp(copy, before, sizeof(copy)),
	   "others are left alone");
	copy[19] = copy[56] = 0;
	ok(stream_renumber(copy, sizeof(copy), "nc") == 0 && copy[56] == 0,
	   "where none is numbered, none gets a number");
}

int main(void)
{
	test_prefix();
	test_page_bits();
	test_refused();
	test_suffix();
	test_saved();
	test_renumber();
	return tap_done();
}
