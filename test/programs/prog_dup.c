/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* prog_dup.c - descriptors duplicated, and closed by number and by range. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif

static int file(void)
{
	return open("/dev/null", O_RDWR);
}

static void got(const char *origin, int fd)
{
	program_say(origin, fd);
	program_expect(fd, "file", origin, "/dev/null");
}

static void duplicates(void)
{
	int fd = file();

	got("open", fd);
	got("dup", dup(fd));
	got("dup2", dup2(fd, 20));
	program_say("dup2 onto itself", dup2(fd, fd));
	program_expect(fd, "file", "open", "/dev/null");
	got("dup3", dup3(fd, 21, O_CLOEXEC));
	program_say("flags", fcntl(21, F_GETFD));
	got("fcntl", fcntl(fd, F_DUPFD, 30));
	got("fcntl", fcntl(fd, F_DUPFD_CLOEXEC, 31));
	got("fcntl64", fcntl64(fd, F_DUPFD, 40));
	program_say("F_SETFL", fcntl(fd, F_SETFL, O_NONBLOCK));
	program_say("F_GETFL", fcntl(20, F_GETFL));
	program_say("F_SETFD", fcntl(fd, F_SETFD, FD_CLOEXEC));
	program_agree("duplicates");
	/* One that is not known to the shim: inherited, and another kind over it. */
	int pipes[2];
	program_say("pipe", pipe(pipes));
	program_say("dup2", dup2(pipes[0], 20));
	program_expect(20, "pipe", "dup2", NULL);
	program_say("dup2", dup2(fd, pipes[1]));
	program_agree("dup2 over an open one");
}

static void ranges(void)
{
	program_say("close_range cloexec", close_range(30, 40, CLOSE_RANGE_CLOEXEC));
	program_say("cloexec", fcntl(40, F_GETFD));
	program_agree("close_range with close-on-exec");
	program_say("close_range", close_range(30, 35, 0));
	program_agree("close_range");
	program_say("close_range", close_range(40, 30, 0));
	program_say("close_range", close_range(3, 40, 0x4000));
	program_agree("close_range that failed");
}

static void failing(void)
{
	program_say("dup", dup(4000));
	program_say("dup2", dup2(4000, 5));
	program_say("dup2", dup2(4000, 4000));
	program_say("dup2", dup2(1, -1));
	program_say("dup3", dup3(1, 1, 0));
	program_say("dup3", dup3(1, 9, O_APPEND));
	program_say("fcntl", fcntl(4000, F_DUPFD, 0));
	program_say("fcntl", fcntl(1, F_DUPFD, -1));
	program_say("fcntl", fcntl(1, 12345));
	program_agree("failing");
}

/* With the shim its own descriptors answer EBADF; without it the numbers are free, so nothing is printed here. */
static void not_ours(void)
{
	int fd = (int)program_shim_fd();

	if (!program_expects_table())
		return;
	if (close(fd) != -1 || errno != EBADF)
		program_fail("close(%d) did not say EBADF", fd);
	if (dup2(1, fd) != -1 || errno != EBADF || dup3(1, fd, 0) != -1 || errno != EBADF)
		program_fail("dup2(1, %d) or dup3() did not say EBADF", fd);
	FILE *stream = fdopen(fd, "r");
	if (stream && (fclose(stream) != EOF || errno != EBADF))
		program_fail("fclose() of %d did not say EBADF", fd);
	program_agree("the shim's own");
}

static long milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void all(void)
{
	long begin = milliseconds();

	program_say("close_range to the end", close_range(3, ~0U, 0));
	program_agree("close_range to the end");
	file();
	closefrom(4);
	program_agree("closefrom");
	closefrom(3);
	program_agree("closefrom");
	closefrom(INT_MAX);
	long took = milliseconds() - begin;
	if (took > 200)
		program_fail("closing all took %ld ms", took);
	/* Each number is free again. */
	got("open", file());
}

int main(void)
{
	program_start();
	duplicates();
	ranges();
	failing();
	not_ours();
	all();
	return program_end();
}
