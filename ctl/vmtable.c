/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vmtable.c - the descriptor table that a VMM publishes, read from outside.
 *
 * The VMM chooses what its descriptors are, and may change them at any moment. A descriptor of it is therefore first
 * taken with O_PATH, which opens nothing; it is opened for reading only once it is known to be a memfd, since an open
 * or a read of something else may block for ever or have effects (FIFO, device, FUSE). It is never mapped: a mapping
 * of a file that another process truncates is a SIGBUS.
 */
#include "vmtable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_LINK "/memfd:" FDTABLE_MEMFD_NAME " (deleted)"

/* A change takes the VMM microseconds; a reader that is this unlucky has met a writer that died or is hostile. */
#define READ_TRIES 50

static bool is_table_link(const char *path)
{
	char link[sizeof(TABLE_LINK) + 1];
	ssize_t n = readlink(path, link, sizeof(link));

	return n == (ssize_t)strlen(TABLE_LINK) && !memcmp(link, TABLE_LINK, (size_t)n);
}

/* Every memfd of the kernel lies in the same internal mount, and nothing else that can have this name does. */
static long mount_id(int fd)
{
	char path[64], line[128];
	long id = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	in = fopen(path, "re");
	if (!in)
		return -1;
	while (id < 0 && fgets(line, sizeof(line), in)) {
		if (sscanf(line, "mnt_id: %ld", &id) != 1)
			id = -1;
	}
	fclose(in);
	return id;
}

static bool is_memfd(int fd)
{
	int sample = memfd_create("cprctl", MFD_CLOEXEC);
	bool same;

	if (sample < 0)
		return false;
	same = mount_id(sample) >= 0 && mount_id(sample) == mount_id(fd);
	close(sample);
	return same;
}

/* Return: 0; -ENOENT where the descriptor is no table; or negative errno. */
static int open_candidate(pid_t pid, const char *number, int *ret_fd)
{
	char path[320];
	int by_path, fd, err;

	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, number);
	if (!is_table_link(path))
		return -ENOENT;
	by_path = open(path, O_PATH | O_CLOEXEC);
	if (by_path < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", by_path);
	if (!is_table_link(path) || !is_memfd(by_path)) {
		close(by_path);
		return -ENOENT;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	err = errno;
	close(by_path);
	if (fd < 0)
		return -err;
	*ret_fd = fd;
	return 0;
}

/* A child that the VMM forked still holds its parent's table, and is no VM. */
static bool is_of_another(int fd, pid_t inner_pid)
{
	struct {
		uint64_t magic;
		int64_t pid;
	} header;

	if (pread(fd, &header.magic, sizeof(header.magic), offsetof(struct fdtable, magic)) != sizeof(header.magic) ||
	    pread(fd, &header.pid, sizeof(header.pid), offsetof(struct fdtable, pid)) != sizeof(header.pid))
		return false;
	return header.magic == FDTABLE_MAGIC && header.pid != inner_pid;
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
	const struct dirent *entry;
	char path[64];
	int err = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return errno == EPERM ? -EACCES : -errno;
	while ((entry = readdir(dir))) {
		int fd = -1, one;

		if (*entry->d_name == '.')
			continue;
		one = open_candidate(pid, entry->d_name, &fd);
		if (!one && is_of_another(fd, inner_pid)) {
			close(fd);
			one = -ENOENT;
		}
		if (one == -ENOENT)
			continue;
		err = one;
		if (!err) {
			*ret_fd = fd;
			break;
		}
	}
	closedir(dir);
	return err;
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
