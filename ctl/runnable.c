/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * runnable.c - can a file be run, or loaded, with the shim preloaded?
 *
 * The loader says nothing where it ignores LD_PRELOAD, or says it and goes on. A VM that only seems to be under the
 * shim would be found out by its first SIGUSR2, which kills it; so this is looked at before the start.
 */
#include "runnable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../state/elffile.h"

typedef int (*check)(const uint8_t *buf, size_t len, const char **ret_why);

/* What state/ says is about "the file"; here it is "it". */
static const char *content_problem(int fd, check fn)
{
	static char text[128];
	uint8_t head[ELFFILE_BYTES];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	const char *why;

	if (n < 0)
		return strerror(errno);
	if (!fn(head, (size_t)n, &why))
		return NULL;
	snprintf(text, sizeof(text), "it %s", why);
	return text;
}

static bool is_script(int fd)
{
	char head[2];

	return pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) && !memcmp(head, "#!", sizeof(head));
}

static const char *program_problem(int fd, bool script_allowed)
{
	struct stat st;

	if (fstat(fd, &st))
		return strerror(errno);
	if (!S_ISREG(st.st_mode))
		return "it is not a file";
	if (st.st_mode & (S_ISUID | S_ISGID))
		return "it is setuid or setgid, so nothing is preloaded";
	if (fgetxattr(fd, "security.capability", NULL, 0) >= 0)
		return "it has file capabilities, so nothing is preloaded";
	return script_allowed && is_script(fd) ? NULL : content_problem(fd, elffile_check);
}

static const char *problem_of(const char *path, bool script_allowed)
{
	/* O_NONBLOCK: an open of a FIFO would wait */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *problem;

	if (fd < 0)
		return strerror(errno);
	problem = program_problem(fd, script_allowed);
	close(fd);
	if (!problem && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS))
		problem = strerror(errno);
	return problem;
}

/**
 * runnable_program_problem() - why a program cannot be run under the shim
 * @path: the program
 *
 * Return: half a sentence, valid until the next call; NULL where it can.
 */
const char *runnable_program_problem(const char *path)
{
	return problem_of(path, false);
}

/**
 * runnable_replacement_problem() - why a VM cannot be updated to a program
 * @path: the program, or a script that leads to it
 *
 * Return: half a sentence, valid until the next call; NULL where it can.
 */
const char *runnable_replacement_problem(const char *path)
{
	return problem_of(path, true);
}

/**
 * runnable_library_problem() - why a library cannot be preloaded
 * @path: the library, absolute
 *
 * Return: half a sentence, valid until the next call; NULL where it can.
 */
const char *runnable_library_problem(const char *path)
{
	const char *problem;
	int fd;

	/* what separates names in LD_PRELOAD cannot be part of one */
	if (strpbrk(path, ": \t\n"))
		return "its path holds a colon or a blank, which LD_PRELOAD does not allow";
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return strerror(errno);
	problem = content_problem(fd, elffile_check_header);
	close(fd);
	return problem;
}
