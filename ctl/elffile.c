/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * elffile.c - can a file be run, or loaded, with the shim preloaded?
 *
 * The loader says nothing where it ignores LD_PRELOAD, or says it and goes on. A VM that only seems to be under the
 * shim would be found out by its first SIGUSR2, which kills it; so this is looked at before the start.
 */
#include "elffile.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* More program headers than any executable has. */
#define HEADERS_MAX 128

typedef ElfW(Ehdr) elf_header;

static const char *header_problem(int fd, elf_header *ret_header)
{
	elf_header header = { 0 }, own;
	ssize_t n = pread(fd, &header, sizeof(header), 0);
	int self;

	if (n >= 2 && !memcmp(header.e_ident, "#!", 2))
		return "it is a script, not an ELF file";
	if (n != sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG))
		return "it is not an ELF file";
	/* this program runs here, so its own header tells what this machine is */
	self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	if (self < 0)
		return "this machine's kind is not known without /proc";
	n = pread(self, &own, sizeof(own), 0);
	close(self);
	if (n != sizeof(own) || header.e_machine != own.e_machine ||
	    header.e_ident[EI_CLASS] != own.e_ident[EI_CLASS] || header.e_ident[EI_DATA] != own.e_ident[EI_DATA])
		return "it is for another kind of machine";
	if (header.e_phentsize != sizeof(ElfW(Phdr)) || header.e_phnum > HEADERS_MAX)
		return "its ELF header is damaged";
	*ret_header = header;
	return NULL;
}

static bool has_interpreter(int fd, const elf_header *header)
{
	for (int i = 0; i < header->e_phnum; i++) {
		ElfW(Phdr) one;

		if (pread(fd, &one, sizeof(one), (off_t)(header->e_phoff + i * sizeof(one))) != sizeof(one))
			return false;
		if (one.p_type == PT_INTERP)
			return true;
	}
	return false;
}

static const char *program_problem(int fd)
{
	const char *problem;
	elf_header header;
	struct stat st;

	if (fstat(fd, &st))
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is not a file";
	if (st.st_mode & (S_ISUID | S_ISGID))
		return "it is setuid or setgid, so nothing is preloaded";
	if (fgetxattr(fd, "security.capability", NULL, 0) >= 0)
		return "it has file capabilities, so nothing is preloaded";
	problem = header_problem(fd, &header);
	if (problem)
		return problem;
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return "it is not an executable";
	if (!has_interpreter(fd, &header))
		return "it is not dynamically linked, so nothing is preloaded";
	return NULL;
}

/**
 * elffile_program_problem() - why a program cannot be run under the shim
 * @path: the program
 *
 * Return: half a sentence, NULL where it can.
 */
const char *elffile_program_problem(const char *path)
{
	/* O_NONBLOCK: an open of a FIFO would wait */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *problem;

	if (fd < 0)
		return strerror(errno);
	problem = program_problem(fd);
	close(fd);
	if (!problem && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS))
		problem = strerror(errno);
	return problem;
}

/**
 * elffile_library_problem() - why a library cannot be preloaded
 * @path: the library, absolute
 *
 * Return: half a sentence, NULL where it can.
 */
const char *elffile_library_problem(const char *path)
{
	const char *problem;
	elf_header header;
	int fd;

	/* what separates names in LD_PRELOAD cannot be part of one */
	if (strpbrk(path, ": \t\n"))
		return "its path holds a colon or a blank, which LD_PRELOAD does not allow";
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return strerror(errno);
	problem = header_problem(fd, &header);
	close(fd);
	return problem;
}
