/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_elffile.c - which files can be started with a library preloaded, and which build they are. */
#include "state/elffile.h"

#include "test/unit/tap.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t head[ELFFILE_BYTES], copy[ELFFILE_BYTES];
static const char *why;

static size_t load(const char *path)
{
	FILE *file = fopen(path, "rb");
	size_t n = file ? fread(head, 1, sizeof(head), file) : 0;

	if (file)
		fclose(file);
	return n;
}

static uint16_t machine_of(const uint8_t *buf)
{
	Elf64_Ehdr header;

	memcpy(&header, buf, sizeof(header));
	return header.e_machine;
}

static bool refused(const uint8_t *buf, size_t len, const char *because)
{
	why = "";
	if (elffile_check(buf, len, &why) == -ENOEXEC && strstr(why, because))
		return true;
	tap_diag("%s", why);
	return false;
}

static void test_truncated(size_t len)
{
	Elf64_Ehdr header;
	bool all = true;

	memcpy(&header, head, sizeof(header));
	size_t needed = header.e_phoff + header.e_phnum * sizeof(Elf64_Phdr);
	for (size_t cut = 0; cut < needed; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1); /* so that the sanitizer sees the first byte too far */

		if (!exact)
			return;
		memcpy(exact, head, cut);
		all = all && refused(exact, cut, cut < sizeof(header) ? "not an ELF program" : "cut off");
		free(exact);
	}
	ok(all, "cut off before the end of its program headers");
	ok(elffile_check(head, needed, &why) == 0 && needed <= len, "no more than these are needed");
}

/* The file in head with its header changed. */
static void changed(void (*change)(Elf64_Ehdr *header), const char *because, const char *name)
{
	Elf64_Ehdr header;

	memcpy(copy, head, sizeof(copy));
	memcpy(&header, copy, sizeof(header));
	change(&header);
	memcpy(copy, &header, sizeof(header));
	ok(refused(copy, sizeof(copy), because), "%s", name);
}

static void make_other_machine(Elf64_Ehdr *header)
{
	header->e_machine = header->e_machine == EM_X86_64 ? EM_AARCH64 : EM_X86_64;
}

static void make_32_bit(Elf64_Ehdr *header)
{
	header->e_ident[EI_CLASS] = ELFCLASS32;
}

static void make_object(Elf64_Ehdr *header)
{
	header->e_type = ET_REL;
}

static void make_core(Elf64_Ehdr *header)
{
	header->e_type = ET_CORE;
}

static void make_far_headers(Elf64_Ehdr *header)
{
	header->e_phoff = UINT64_MAX - 8;
}

static void make_many_headers(Elf64_Ehdr *header)
{
	header->e_phnum = UINT16_MAX;
}

static void make_odd_headers(Elf64_Ehdr *header)
{
	header->e_phentsize = 32;
}

static void make_no_headers(Elf64_Ehdr *header)
{
	header->e_phnum = 0;
}

/* An ELF file with one segment of notes, @size bytes of them, of which @shown are there. Return: its length. */
static size_t make_notes(const void *notes, size_t size, size_t shown)
{
	Elf64_Ehdr header = { .e_phoff = sizeof(header), .e_phnum = 1, .e_phentsize = sizeof(Elf64_Phdr) };
	Elf64_Phdr ph = { .p_type = PT_NOTE, .p_offset = sizeof(header) + sizeof(ph), .p_filesz = size };

	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	memcpy(copy, &header, sizeof(header));
	memcpy(copy + sizeof(header), &ph, sizeof(ph));
	memcpy(copy + ph.p_offset, notes, shown);
	return ph.p_offset + shown;
}

static void test_build_id(void)
{
	static const struct {
		Elf64_Nhdr other;
		char other_name[8], other_text[4];
		Elf64_Nhdr note;
		char name[4];
		uint8_t id[6];
	} notes = {
		.other = { 5, 3, NT_GNU_BUILD_ID },
		.other_name = "Gnus",
		.note = { 4, 6, NT_GNU_BUILD_ID },
		.name = "GNU",
		.id = { 0xde, 0xad, 0xbe, 0xef, 1, 2 },
	};
	size_t size = sizeof(notes), len = make_notes(&notes, size, size), id_len = 0;
	const uint8_t *id = NULL;
	bool none = true;

	ok(!elffile_build_id(copy, len, &id, &id_len) && id_len == 6 && !memcmp(id, notes.id, 6),
	   "a build id behind another's note");
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		if (!exact)
			return;
		memcpy(exact, copy, cut);
		none = none && elffile_build_id(exact, cut, &id, &id_len) == -ENOENT;
		free(exact);
	}
	ok(none, "no build id in a file that is cut off");
	len = make_notes(&notes, size - 4, size);
	ok(elffile_build_id(copy, len, &id, &id_len) == -ENOENT, "no build id beyond its segment");
	ok(elffile_build_id((const uint8_t *)"#!/bin/sh\n", 10, &id, &id_len) == -ENOENT, "no build id in a script");
}

int main(void)
{
	static const char script[] = "#!/bin/sh\nexec qemu-system-x86_64 \"$@\"\n";
	size_t len = load("/proc/self/exe");
	uint16_t machine = machine_of(head);

	ok(elffile_check(head, len, &why) == 0, "this program");
	test_truncated(len);
	changed(make_other_machine, "another kind of processor", "another machine's program");
	changed(make_32_bit, "another kind of processor", "a 32-bit program");
	changed(make_object, "not a program", "an object file");
	changed(make_core, "not a program", "a core dump");
	changed(make_far_headers, "damaged", "program headers at the end of all memory");
	changed(make_many_headers, "damaged", "more program headers than there are bytes");
	changed(make_odd_headers, "damaged", "program headers of another size");
	changed(make_no_headers, "statically linked", "no program headers");
	ok(refused((const uint8_t *)script, sizeof(script) - 1, "not an ELF program"), "a script");
	ok(refused(head, 0, "not an ELF program"), "an empty file");
	ok(elffile_is_loader("/lib64/ld-linux-x86-64.so.2") && elffile_is_loader("/usr/lib/ld64.so.1 (deleted)"),
	   "loaders");
	ok(!elffile_is_loader("/usr/bin/qemu-system-x86_64") && !elffile_is_loader("/opt/ld-tools/qemu"), "no loaders");
	test_build_id();
	if (load("/bin/busybox") && machine_of(head) == machine)
		ok(refused(head, sizeof(head), "statically linked"), "busybox-static");
	else
		tap_skip("no /bin/busybox for this processor here");
	return tap_done();
}
