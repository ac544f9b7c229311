/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ramshadow.c - preserved memory, mapped beforehand; see ramshadow.h. */
#include "ramshadow.h"

#include <linux/magic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "real.h"

/*
 * Page tables are moved as a whole where both places lie alike in what one of them covers (mm/mremap.c:move_pgt_entry): those
 * of single pages, and of many the tables of tables.
 */
#define TABLE	    ((uintptr_t)2 << 20)
#define LARGE_TABLE ((uintptr_t)1 << 30)
#define PIECE	    ((off_t)256 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static struct shadow {
	void *at;
	size_t size;
	int fd;
	uint64_t offset;
} list[RAM_MAPS];
static size_t count;

/* Memory that nothing is written back to, and that tells its holes. Huge pages that are reserved are few, and fill fast. */
static bool is_memory(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == TMPFS_MAGIC;
}

static uint64_t nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/**
 * ramshadow_map() - map preserved memory beforehand
 * @map:    QEMU's mapping that it is for
 * @flags:  as mmap's, which that is to have then
 * @fd:	    the memory; the number stays in use until ramshadow_move()
 * @offset: where in it
 *
 * By the service thread, as all of this.
 *
 * Return: where it is, or NULL where it is to be mapped when its time has come.
 */
void *ramshadow_map(const struct ram_map *map, int flags, int fd, uint64_t offset)
{
	bool plain = (map->flags & MAP_TYPE) != MAP_SHARED_VALIDATE;

	if (count == RAM_MAPS || !plain || !is_memory(fd))
		return NULL;
	/* The largest step between two places that lie alike. */
	uintptr_t step = map->size < LARGE_TABLE ? TABLE : LARGE_TABLE;
	size_t room = map->size + step;
	void *reserved = real(mmap)(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return NULL;
	uintptr_t start = (uintptr_t)reserved;
	uintptr_t at = start + ((map->addr - start) & (step - 1));
	struct shadow *s = &list[count];
	*s = (struct shadow){ .at = (void *)at, .size = map->size, .fd = fd, .offset = offset };
	if (at > start)
		real(munmap)(reserved, at - start);
	if (at + map->size < start + room)
		real(munmap)((void *)(at + map->size), start + room - at - map->size);
	if (real(mmap)(s->at, s->size, map->prot, flags | MAP_FIXED, fd, (off_t)offset) == MAP_FAILED) {
		real(munmap)(s->at, s->size);
		return NULL;
	}
	count++;
	return s->at;
}

/* For writing: a page that is there already is dirty for all that this kind of file cares. */
static void fill(const struct shadow *s, uint64_t until)
{
	off_t first = (off_t)s->offset, end = first + (off_t)s->size, at = first;

	while (at < end && nanoseconds() < until) {
		off_t data = lseek(s->fd, at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(s->fd, data, SEEK_HOLE);

		if (data < 0 || hole < 0 || data >= end)
			return;
		if (hole > end)
			hole = end;
		at = hole - data > PIECE ? data + PIECE : hole;
		if (real(madvise)((char *)s->at + (data - first), (size_t)(at - data), MADV_POPULATE_WRITE))
			return;
	}
}

/**
 * ramshadow_fill() - have the page tables of what was mapped filled
 * @until_ns: CLOCK_MONOTONIC; what is left by then is filled by use
 */
void ramshadow_fill(uint64_t until_ns)
{
	for (size_t i = 0; i < count; i++)
		fill(&list[i], until_ns);
}

/**
 * ramshadow_move() - put what was filled under QEMU's mapping
 * @map, @fd, @offset: as ramshadow_map() was given them
 *
 * Return: false where there is none; it is to be mapped then.
 */
bool ramshadow_move(const struct ram_map *map, int fd, uint64_t offset)
{
	for (size_t i = 0; i < count; i++) {
		struct shadow *s = &list[i];

		if (!s->at || s->fd != fd || s->offset != offset || s->size != map->size)
			continue;
		void *to = real(mremap)(s->at, s->size, s->size, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)map->addr);
		if (to == MAP_FAILED)
			real(munmap)(s->at, s->size);
		s->at = NULL;
		return to != MAP_FAILED;
	}
	return false;
}
