/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* elffile.c - what kind of program is a file? See elffile.h. */
#include "elffile.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#if defined(__x86_64__)
#define NATIVE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define NATIVE_MACHINE EM_AARCH64
#else
#error "this machine is not known yet"
#endif

/* Are they all among the first @len bytes? */
static bool has_program_headers(const Elf64_Ehdr *header, size_t len)
{
	return header->e_phentsize == sizeof(Elf64_Phdr) && header->e_phoff <= len &&
	       (len - header->e_phoff) / sizeof(Elf64_Phdr) >= header->e_phnum;
}

static bool has_interpreter(const uint8_t *buf, const Elf64_Ehdr *header)
{
	for (size_t i = 0; i < header->e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, buf + header->e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/**
 * elffile_check_header() - is it code for this machine, a program or a library?
 * @buf:     the file's first ELFFILE_BYTES bytes, or all of it
 * @len:     how many
 * @ret_why: on failure: half a sentence about the file, constant
 *
 * Return: 0 or -ENOEXEC.
 */
int elffile_check_header(const uint8_t *buf, size_t len, const char **ret_why)
{
	Elf64_Ehdr header;

	*ret_why = "is not an ELF program";
	if (len < sizeof(header) || memcmp(buf, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	memcpy(&header, buf, sizeof(header));
	*ret_why = "is a program for another kind of processor";
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != NATIVE_MACHINE)
		return -ENOEXEC;
	*ret_why = "is not a program";
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return -ENOEXEC;
	return 0;
}

/**
 * elffile_check() - can it be started with a library preloaded?
 * @buf:     the file's first ELFFILE_BYTES bytes, or all of it
 * @len:     how many
 * @ret_why: on failure: half a sentence about the file, constant
 *
 * Return: 0 for a dynamically linked program of this machine, else -ENOEXEC.
 */
int elffile_check(const uint8_t *buf, size_t len, const char **ret_why)
{
	int rc = elffile_check_header(buf, len, ret_why);
	Elf64_Ehdr header;

	if (rc)
		return rc;
	memcpy(&header, buf, sizeof(header));
	*ret_why = "is cut off or damaged";
	if (!has_program_headers(&header, len))
		return -ENOEXEC;
	*ret_why = "is statically linked: libcprshim.so cannot be loaded into it";
	if (!has_interpreter(buf, &header))
		return -ENOEXEC;
	return 0;
}

/* The notes of one segment. Return: 0 or -ENOENT. */
static int find_build_id(const uint8_t *notes, size_t len, const uint8_t **ret_id, size_t *ret_len)
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		size_t name, all;

		memcpy(&note, notes, sizeof(note));
		/* name and text are padded each (elf(5), notes) */
		name = ((size_t)note.n_namesz + 3) & ~(size_t)3;
		all = sizeof(note) + name + (((size_t)note.n_descsz + 3) & ~(size_t)3);
		if (all > len)
			break;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_descsz && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
		    !memcmp(notes + sizeof(note), ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU))) {
			*ret_id = notes + sizeof(note) + name;
			*ret_len = note.n_descsz;
			return 0;
		}
		notes += all;
		len -= all;
	}
	return -ENOENT;
}

/**
 * elffile_build_id() - which build is it?
 * @buf:     the file's first ELFFILE_BYTES bytes, or all of it
 * @len:     how many
 * @ret_id:  the linker's NT_GNU_BUILD_ID, in @buf
 * @ret_len: its length
 *
 * Linkers put it behind the program headers. What lies further behind is not looked at.
 *
 * Return: 0, or -ENOENT where it has none there or is no 64-bit ELF file.
 */
int elffile_build_id(const uint8_t *buf, size_t len, const uint8_t **ret_id, size_t *ret_len)
{
	Elf64_Ehdr header;

	if (len < sizeof(header) || memcmp(buf, ELFMAG, SELFMAG) != 0)
		return -ENOENT;
	memcpy(&header, buf, sizeof(header));
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || !has_program_headers(&header, len))
		return -ENOENT;
	for (size_t i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr ph;

		memcpy(&ph, buf + header.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_NOTE && ph.p_offset <= len && ph.p_filesz <= len - ph.p_offset &&
		    !find_build_id(buf + ph.p_offset, ph.p_filesz, ret_id, ret_len))
			return 0;
	}
	return -ENOENT;
}

/**
 * elffile_is_loader() - is this the path of a dynamic loader?
 *
 * One that was given a program as an argument is what /proc/PID/exe leads to.
 */
bool elffile_is_loader(const char *path)
{
	const char *name = strrchr(path, '/');

	return name && (!strncmp(name, "/ld-", 4) || !strncmp(name, "/ld.so", 6) || !strncmp(name, "/ld64.so", 8));
}
