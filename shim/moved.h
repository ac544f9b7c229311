/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * moved.h - images that QEMU has open and that their paths do not lead to any more.
 *
 * QEMU opens its images by their names again when it lets go of them, when it takes them back
 * (block/file-posix.c:raw_reconfigure_getfd), and in a successor. While an update is under way such a name leads to the
 * file that was open when it began, and not to a namesake: each open() makes an open file of its own, with the flags
 * asked for, so that QEMU's locks are its own too.
 */
#ifndef CPRSHIM_SHIM_MOVED_H
#define CPRSHIM_SHIM_MOVED_H

#include <stddef.h>

#define MOVED_MAX 64

/**
 * struct moved - one of them
 * @path: as QEMU gave it
 * @fd:	  O_PATH, one of ours
 */
struct moved {
	const char *path;
	int fd;
};

int moved_hold(const char *path, int fd);
int moved_adopt(const char *path, int fd);
size_t moved_count(void);
const struct moved *moved_at(size_t index);
int moved_open(const char *path, int flags);
void moved_release(void);

#endif
