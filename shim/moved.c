/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* moved.c - images that their paths do not lead to any more; see moved.h. */
#include "moved.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "real.h"
#include "slots.h"

static struct moved list[MOVED_MAX];
static size_t count;
/* QEMU opens images on its main thread and in its I/O threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const struct moved *find(const char *path)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].path, path))
			return &list[i];
	return NULL;
}

/**
 * moved_adopt() - a path leads to a descriptor's file from now on
 * @path: as QEMU gives it; copied
 * @fd:	  O_PATH, one of ours, until moved_release()
 *
 * Return: 0 or a negative errno; the descriptor is then still the caller's.
 */
int moved_adopt(const char *path, int fd)
{
	char *copy = strdup(path);
	int rc = copy ? 0 : -ENOMEM;

	pthread_mutex_lock(&lock);
	if (!rc && count == MOVED_MAX)
		rc = -ENOSPC;
	if (!rc)
		list[count++] = (struct moved){ .path = copy, .fd = fd };
	pthread_mutex_unlock(&lock);
	if (rc)
		free(copy);
	return rc;
}

static int open_again(int fd, int flags)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return real(open64)(link, flags);
}

/**
 * moved_hold() - hold the file behind a descriptor of QEMU's
 * @path: as QEMU gave it
 * @fd:	  QEMU's descriptor
 *
 * What is held has no part in QEMU's open file: no lock, no offset, no right to write.
 *
 * Return: 0 or a negative errno.
 */
int moved_hold(const char *path, int fd)
{
	pthread_mutex_lock(&lock);
	bool known = find(path) != NULL;
	pthread_mutex_unlock(&lock);
	if (known)
		return 0;
	int held = open_again(fd, O_PATH | O_CLOEXEC);
	if (held < 0)
		return -errno;
	held = slots_move(held);
	int rc = held < 0 ? held : moved_adopt(path, held);
	if (rc)
		slots_close(held);
	return rc;
}

/** moved_count() - how many there are */
size_t moved_count(void)
{
	return count;
}

/** moved_at() - one of them, by its index; for the service thread */
const struct moved *moved_at(size_t index)
{
	return &list[index];
}

/**
 * moved_open() - for the hooks of open(): open the file that a path stands for
 * @path:  as QEMU gives it
 * @flags: as open()'s
 *
 * Return: a descriptor; -1 with errno where it could not be opened; -ENOENT where the path is none of these.
 */
int moved_open(const char *path, int flags)
{
	if (!__atomic_load_n(&count, __ATOMIC_ACQUIRE) || (flags & O_CREAT))
		return -ENOENT;
	pthread_mutex_lock(&lock);
	const struct moved *m = find(path);
	int fd = m ? open_again(m->fd, flags) : -ENOENT;
	pthread_mutex_unlock(&lock);
	return fd;
}

/** moved_release() - the update is over: paths lead where they lead */
void moved_release(void)
{
	pthread_mutex_lock(&lock);
	size_t released = count;

	__atomic_store_n(&count, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&lock);
	/* Without the lock: malloc() opens files with its own held, and with CPRSHIM_RAW comes to moved_open(). */
	for (size_t i = 0; i < released; i++) {
		free((void *)list[i].path);
		slots_close(list[i].fd);
	}
}
