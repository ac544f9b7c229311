/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ramview.c - a private view of the guest's memory; see ramview.h. */
#include "ramview.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include "ram.h"
#include "real.h"

/* Huge pages that are not reserved may not be there when they are written, which is a fatal signal. */
static int reserve_flag(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC ? 0 : MAP_NORESERVE;
}

/**
 * ramview_put() - put a view of preserved memory over scratch memory
 * @addr, @size, @fd, @offset: as ram_rebind()'s; the descriptor stays the caller's
 *
 * Return: 0 or a negative errno, -ENOENT where there is no such scratch memory.
 */
int ramview_put(uintptr_t addr, size_t size, int fd, uint64_t offset)
{
	struct ram_map *maps = calloc(RAM_MAPS, sizeof(*maps));
	size_t n = maps ? ram_list(maps, RAM_MAPS) : 0;
	int rc = maps ? -ENOENT : -ENOMEM;

	for (size_t i = 0; i < n; i++) {
		if (maps[i].addr != addr || maps[i].size < size || !maps[i].scratch)
			continue;
		void *at = real(mmap)((void *)addr, maps[i].size, maps[i].prot,
				      MAP_PRIVATE | MAP_FIXED | reserve_flag(fd), fd, (off_t)offset);

		rc = at == MAP_FAILED ? -errno : 0;
	}
	free(maps);
	return rc;
}
