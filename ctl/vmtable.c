/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vmtable.c - the descriptor table that a VMM publishes, read from outside.
 *
 * It is found as memfds.c says, and read and never mapped.
 */
#include "vmtable.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "memfds.h"

/* A change takes the VMM microseconds; a reader that is this unlucky has met a writer that died or is hostile. */
#define READ_TRIES 50

/* A child that the VMM forked still holds its parent's table, and is no VM. */
static bool is_own(int fd, const void *inner_pid)
{
	struct {
		uint64_t magic;
		int64_t pid;
	} header;

	if (pread(fd, &header.magic, sizeof(header.magic), offsetof(struct fdtable, magic)) != sizeof(header.magic) ||
	    pread(fd, &header.pid, sizeof(header.pid), offsetof(struct fdtable, pid)) != sizeof(header.pid))
		return true;
	return header.magic != FDTABLE_MAGIC || header.pid == *(const pid_t *)inner_pid;
}

/**
 * vmtable_open() - find the table that a process publishes
 * @pid:	the process
 * @inner_pid:	its PID as it sees itself
 * @ret_fd:	the table, read-only; what is in it was not checked
 *
 * Return: 0, -ENOENT where the process publishes none, -EACCES where its descriptors may not be looked at, or negative
 * errno.
 */
int vmtable_open(pid_t pid, pid_t inner_pid, int *ret_fd)
{
	return memfds_open(pid, FDTABLE_MEMFD_NAME, is_own, &inner_pid, ret_fd);
}

static int read_all(int fd, void *ret_buf, size_t len)
{
	size_t used = 0;

	while (used < len) {
		ssize_t n = pread(fd, (char *)ret_buf + used, len - used, (off_t)used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		used += (size_t)n;
	}
	return 0;
}

/* Return: 0, -EAGAIN where the VMM wrote meanwhile, or negative errno. */
static int read_once(int fd, struct fdtable *ret_raw)
{
	uint64_t after;
	int err = read_all(fd, ret_raw, sizeof(*ret_raw));

	if (err)
		return err;
	if (pread(fd, &after, sizeof(after), offsetof(struct fdtable, seqlock)) != sizeof(after))
		return -ENODATA;
	/* the header was copied before the records: with the same even number behind them, no write fell in between */
	return after != ret_raw->seqlock || (after & 1) ? -EAGAIN : 0;
}

/**
 * vmtable_read() - take a checked copy of a published table
 * @fd:		what vmtable_open() gave
 * @ret_table:	the copy; undefined on failure
 *
 * Return: 0, -ENODATA where the file is too short, -EBADMSG where it holds no valid table, -EPROTONOSUPPORT for
 * another version's, -EAGAIN where the VMM never came to rest, or negative errno.
 */
int vmtable_read(int fd, struct fdtable *ret_table)
{
	struct fdtable *raw;
	struct stat st;
	int err = -EAGAIN;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size < (off_t)sizeof(*raw))
		return -ENODATA;
	raw = malloc(sizeof(*raw));
	if (!raw)
		return -ENOMEM;
	for (int i = 0; i < READ_TRIES && err == -EAGAIN; i++) {
		if (i)
			poll(NULL, 0, 1);
		err = read_once(fd, raw);
	}
	if (!err)
		err = fdtable_snapshot(ret_table, raw, sizeof(*raw));
	free(raw);
	return err;
}

/**
 * vmtable_strerror() - what is wrong with a table, for people
 * @err: negative errno that vmtable_open() or vmtable_read() gave
 *
 * Return: half a sentence.
 */
const char *vmtable_strerror(int err)
{
	switch (err) {
	case -ENOENT:
		return "there is none";
	case -ENODATA:
		return "it is too short";
	case -EBADMSG:
		return "it is damaged";
	case -EPROTONOSUPPORT:
		return "it is of another version of cprshim";
	case -EAGAIN:
		return "it is being written all the time";
	default:
		return strerror(-err);
	}
}
