/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memfds.c - memfds that a VMM holds, found from outside.
 *
 * The VMM chooses what its descriptors are, and may change them at any moment. A descriptor of it is therefore first
 * taken with O_PATH, which opens nothing; it is opened for reading only once it is known to be a memfd, since an open
 * or a read of something else may block for ever or have effects (FIFO, device, FUSE).
 */
#include "memfds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../state/memfd.h"

static bool is_link_to(const char *path, const char *name)
{
	char link[128], wanted[128];
	ssize_t n = readlink(path, link, sizeof(link));

	snprintf(wanted, sizeof(wanted), "/memfd:%s (deleted)", name);
	return n == (ssize_t)strlen(wanted) && !memcmp(link, wanted, (size_t)n);
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

/**
 * memfds_create() - make a memfd of our own
 * @name: as it appears in /proc/PID/fd
 *
 * Return: the memfd, close-on-exec; -1 with errno set.
 */
int memfds_create(const char *name)
{
	int fd = memfd_create(name, MEMFD_FLAGS);

	return fd < 0 && errno == EINVAL ? memfd_create(name, MEMFD_FLAGS_OLD) : fd;
}

static bool is_memfd(int fd)
{
	int sample = memfds_create("cprctl");
	bool same;

	if (sample < 0)
		return false;
	same = mount_id(sample) >= 0 && mount_id(sample) == mount_id(fd);
	close(sample);
	return same;
}

/* Return: 0; -ENOENT where the descriptor is none of that name; or negative errno. */
static int open_candidate(pid_t pid, const char *number, const char *name, int *ret_fd)
{
	char path[320];
	int by_path, fd, err;

	snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, number);
	if (!is_link_to(path, name))
		return -ENOENT;
	by_path = open(path, O_PATH | O_CLOEXEC);
	if (by_path < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", by_path);
	if (!is_link_to(path, name) || !is_memfd(by_path)) {
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

/**
 * memfds_open() - find a memfd that a process holds
 * @pid:    the process
 * @name:   of the memfd
 * @is_it:  is this the one? It is given @opaque
 * @opaque: for @is_it
 * @ret_fd: the memfd, read-only; what is in it was not checked
 *
 * It is never to be mapped: a mapping of a file that another process truncates is a SIGBUS.
 *
 * Return: 0, -ENOENT where the process holds none, -EACCES where its descriptors may not be looked at, or negative
 * errno.
 */
int memfds_open(pid_t pid, const char *name, bool (*is_it)(int fd, const void *opaque), const void *opaque, int *ret_fd)
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
		one = open_candidate(pid, entry->d_name, name, &fd);
		if (!one && !is_it(fd, opaque)) {
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
