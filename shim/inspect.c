/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* inspect.c - what the kernel says is open; see inspect.h. */
#include "inspect.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "decoy.h"
#include "real.h"
#include "slots.h"
#include "table.h"
#include "vhost.h"

#define TUN_MAJOR  10
#define TUN_MINOR  200
#define PTMX_MAJOR 5
#define PTMX_MINOR 2

/* Names that the kernel gives to objects without a path (fs/anon_inodes.c and its callers). */
static enum fdkind anonymous_kind(const char *link)
{
	static const struct {
		const char *prefix;
		enum fdkind kind;
	} names[] = {
		{ "anon_inode:[eventfd]", FDKIND_EVENTFD },
		{ "anon_inode:[eventpoll]", FDKIND_EPOLL },
		{ "anon_inode:[signalfd]", FDKIND_SIGNALFD },
		{ "anon_inode:[timerfd]", FDKIND_TIMERFD },
		{ "anon_inode:[io_uring]", FDKIND_IO_URING },
		{ "anon_inode:[pidfd]", FDKIND_PIDFD },
		{ "anon_inode:[userfaultfd]", FDKIND_USERFAULTFD },
		{ "anon_inode:inotify", FDKIND_INOTIFY },
		{ "anon_inode:kvm", FDKIND_KVM },
		{ "anon_inode:[vfio", FDKIND_VFIO },
		{ "anon_inode:", FDKIND_ANON },
		{ "/memfd:", FDKIND_MEMFD },
		{ "/dev/kvm", FDKIND_KVM },
		{ "/dev/vhost-", FDKIND_VHOST },
		{ "/dev/vfio/", FDKIND_VFIO },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(link, names[i].prefix, strlen(names[i].prefix)))
			return names[i].kind;
	return FDKIND_NONE;
}

static enum fdkind socket_kind(int fd)
{
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer);
	int listening = 0;
	socklen_t len = sizeof(listening);

	if (!getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) && listening)
		return FDKIND_LISTENER;
	return real(getpeername)(fd, (struct sockaddr *)&peer, &peer_len) ? FDKIND_SOCKET : FDKIND_CONNECTION;
}

static enum fdkind kernel_kind(int fd, const char *link, const struct stat *st)
{
	enum fdkind kind = anonymous_kind(link);
	struct ifreq request;

	if (kind != FDKIND_NONE)
		return kind;
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		return FDKIND_FILE;
	case S_IFDIR:
		return FDKIND_DIRECTORY;
	case S_IFBLK:
		return FDKIND_BLOCKDEV;
	case S_IFIFO:
		return FDKIND_PIPE;
	case S_IFSOCK:
		return socket_kind(fd);
	case S_IFCHR:
		if (vhost_model_of(st) != VHOST_OTHER)
			return FDKIND_VHOST;
		if (st->st_rdev == makedev(TUN_MAJOR, TUN_MINOR))
			return real(ioctl)(fd, TUNGETIFF, &request) ? FDKIND_TUN_UNATTACHED : FDKIND_TAP;
		if (st->st_rdev == makedev(PTMX_MAJOR, PTMX_MINOR))
			return FDKIND_PTY_MASTER;
		return isatty(fd) ? FDKIND_TTY : FDKIND_CHARDEV;
	default:
		return FDKIND_ANON;
	}
}

/* Can this record be of that object? Anonymous inodes share one inode, so the kinds must do. */
static int same_object(const struct fdrec *rec, const struct stat *st, enum fdkind kind)
{
	if (rec->dev != st->st_dev || rec->ino != st->st_ino)
		return 0;
	return kind != FDKIND_EVENTFD || rec->kind == FDKIND_EVENTFD || rec->flags & (FDREC_SCM | FDREC_INHERITED);
}

/* A record tells more than the kernel where it says how a socket or tap came about. */
static enum fdkind refine(enum fdkind kernel, const struct fdrec *rec)
{
	if ((kernel == FDKIND_SOCKET || kernel == FDKIND_CONNECTION) &&
	    (rec->kind == FDKIND_CLIENT || rec->kind == FDKIND_SOCKETPAIR || rec->kind == FDKIND_SHIM))
		return rec->kind;
	if (rec->kind == FDKIND_STDIO)
		return FDKIND_STDIO;
	return kernel;
}

static void inspect_one(struct inspected *it)
{
	int object = decoy_real(it->fd); /* a decoy stands for the real one */
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", object);
	ssize_t n = readlink(path, it->link, sizeof(it->link) - 1);
	it->link[n > 0 ? n : 0] = '\0';
	if (fstat(object, &st))
		return; /* closed since it was listed */
	it->kind = kernel_kind(object, it->link, &st);
	if (slots_owns(it->fd)) {
		it->kind = it->kind == FDKIND_MEMFD && strstr(it->link, "cprshim-ram") ? FDKIND_RAM : FDKIND_SHIM;
		return;
	}
	if (table_lookup(it->fd, &it->rec) && same_object(&it->rec, &st, it->kind)) {
		it->recorded = 1;
		it->kind = refine(it->kind, &it->rec);
	} else {
		memset(&it->rec, 0, sizeof(it->rec));
		it->rec.parent = -1;
	}
}

static int by_number(const void *a, const void *b)
{
	return ((const struct inspected *)a)->fd - ((const struct inspected *)b)->fd;
}

/**
 * inspect_each() - call a function for each open descriptor
 * @fn:	    gets its number; it may close it
 * @opaque: passed to it
 *
 * Return: 0 or a negative errno.
 */
int inspect_each(void (*fn)(int fd, void *opaque), void *opaque)
{
	DIR *dir = real(opendir)("/proc/self/fd");

	if (!dir)
		return -errno;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(dir))
			fn(atoi(entry->d_name), opaque);
	real(closedir)(dir);
	return 0;
}

struct list {
	struct inspected *items;
	size_t count;
	size_t room;
	bool failed;
};

static void add(int fd, void *opaque)
{
	struct list *list = opaque;

	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 64;
		struct inspected *more = realloc(list->items, room * sizeof(*more));

		if (!more) {
			list->failed = true;
			return;
		}
		list->items = more;
		list->room = room;
	}
	struct inspected *it = &list->items[list->count++];

	memset(it, 0, sizeof(*it));
	it->fd = fd;
	inspect_one(it);
}

/**
 * inspect_descriptors() - list all open descriptors
 * @ret:       malloc'ed, by number; the caller frees it
 * @ret_count: how many
 *
 * Costs some microseconds for each descriptor. What opens or closes meanwhile may be missed or listed with kind
 * FDKIND_NONE.
 *
 * Return: 0 or a negative errno.
 */
int inspect_descriptors(struct inspected **ret, size_t *ret_count)
{
	struct list list = { .items = NULL };
	int rc = inspect_each(add, &list);

	if (!rc && list.failed)
		rc = -ENOMEM;
	if (rc) {
		free(list.items);
		return rc;
	}
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), by_number);
	*ret = list.items;
	*ret_count = list.count;
	return 0;
}
