/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hugepages.c - huge pages for guest RAM; see hugepages.h. */
#include "hugepages.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../shim/ram.h"
#include "../shim/real.h"
#include "../shim/settings.h"
#include "clock.h"
#include "vm.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

#define SETTING	 32 /* bytes for a setting */
#define SYS_THP	 "/sys/kernel/mm/transparent_hugepage/"
#define MS	 UINT64_C(1000000)
#define FIRST_MS 2000 /* after the start: QEMU and the guest's firmware have the machine to themselves */
#define SLICE_MS 2    /* a request waits for no longer than this and one huge page */
#define REST	 9    /* times as long as was worked: a tenth of one CPU at most */
/* From one round to the next: the first while memory is still being filled, the last where nothing is left to do. */
#define ROUND_MIN_MS 5000
#define ROUND_MAX_MS 600000

enum missing {
	MISSING_NOWHERE,
	MISSING_WHERE_ADVISED,
	MISSING_EVERYWHERE,
};

/*
 * Where the round is. Only the service thread comes here.
 *
 * A unit that is huge already costs a system call a round; where rounds find nothing to do they become rare.
 */
static struct {
	struct ram_map maps[RAM_MAPS];
	size_t map_count;
	size_t map;	/* the one that is being gone through */
	uintptr_t next; /* the next unit in it, 0: its first */
	size_t unit;	/* bytes */
	enum missing missing;
	uint64_t filled; /* bytes of units found in this round */
	uint64_t before; /* and in the round before */
	uint64_t due;	 /* CLOCK_MONOTONIC, UINT64_MAX: never again */
	uint64_t pause;	 /* ms until the next round */
	bool in_round;
} at;

/* A setting: the choice in brackets, or all of its line, cut off where it is longer than what is known. */
static void read_setting(const char *path, char ret[SETTING])
{
	char text[128];

	vm_read_file(path, text, sizeof(text));
	const char *open = strchr(text, '['), *from = open ? open + 1 : text;
	size_t len = strcspn(from, "]\n");

	snprintf(ret, SETTING, "%.*s", (int)(len < SETTING ? len : SETTING - 1), from);
}

/* Which anonymous memory does the kernel give huge pages to, while it gives shared memory none? */
static enum missing read_missing(void)
{
	char anonymous[SETTING], shared[SETTING];

	read_setting(SYS_THP "enabled", anonymous);
	read_setting(SYS_THP "shmem_enabled", shared);
	if (strcmp(shared, "never") != 0)
		return MISSING_NOWHERE; /* it does so itself, or somebody wants it not to ("deny") */
	return !strcmp(anonymous, "always")    ? MISSING_EVERYWHERE
	       : !strcmp(anonymous, "madvise") ? MISSING_WHERE_ADVISED
					       : MISSING_NOWHERE;
}

static bool is_eligible(const struct ram_map *map)
{
	uint32_t no = 1u << MADV_NOHUGEPAGE, yes = 1u << MADV_HUGEPAGE;
	struct statfs fs;

	if (!map->ours || !map->shared || map->scratch || map->size < at.unit || map->advice & no)
		return false;
	return (at.missing == MISSING_EVERYWHERE || map->advice & yes) && !fstatfs(map->fd, &fs) &&
	       fs.f_type != HUGETLBFS_MAGIC;
}

static void begin_round(void)
{
	char size[SETTING];

	read_setting(SYS_THP "hpage_pmd_size", size);
	at.unit = strtoul(size, NULL, 10); /* 0 where the kernel has none */
	at.missing = read_missing();
	at.map_count = ram_list(at.maps, RAM_MAPS);
	at.map = 0;
	at.next = 0;
	at.filled = 0;
	at.in_round = true;
}

static void end_round(void)
{
	bool news = at.filled != at.before;

	at.before = at.filled;
	at.pause = news || !at.pause ? ROUND_MIN_MS : at.pause * 2 < ROUND_MAX_MS ? at.pause * 2 : ROUND_MAX_MS;
	at.due = clock_now() + at.pause * MS;
	at.in_round = false;
}

/*
 * The first whole unit at or after @from with anything in it, or 0. All of it will be there then, as of anonymous memory
 * all of a huge page is where one byte was used. What an incoming postcopy waits for has been discarded before
 * (migration/postcopy-ram.c:init_range), so that it is not filled here.
 */
static uintptr_t find_used(const struct ram_map *map, uintptr_t from)
{
	off_t offset = (off_t)(map->offset + (from - map->addr)), data = lseek(map->fd, offset, SEEK_DATA);

	if (data < 0)
		return 0;
	from = (from + (uintptr_t)(data - offset)) / at.unit * at.unit;
	return from + at.unit <= map->addr + map->size ? from : 0;
}

/*
 * The first whole unit at or after @from without a hole in it, or 0. What is a hole stays one: a balloon's is not filled
 * again.
 */
static uintptr_t find_full(const struct ram_map *map, uintptr_t from)
{
	uintptr_t end = map->addr + map->size;

	while (from + at.unit <= end) {
		off_t offset = (off_t)(map->offset + (from - map->addr));
		off_t hole = lseek(map->fd, offset, SEEK_HOLE);

		if (hole >= offset + (off_t)at.unit)
			return from;
		off_t data = hole < 0 ? -1 : lseek(map->fd, hole, SEEK_DATA);
		if (data < 0)
			return 0;
		uintptr_t next = map->addr + (uintptr_t)((uint64_t)data - map->offset);
		from = (next + at.unit - 1) / at.unit * at.unit;
	}
	return 0;
}

static uintptr_t find_unit(const struct ram_map *map, uintptr_t from)
{
	from = (from + at.unit - 1) / at.unit * at.unit;
	return from >= map->addr + map->size ? 0 : map->discarded ? find_full(map, from) : find_used(map, from);
}

/* A mapping may have gone, and its number with it, since the round began, or something been discarded. */
static bool is_there(struct ram_map *map)
{
	static struct ram_map now[RAM_MAPS];
	size_t n = ram_list(now, RAM_MAPS);

	for (size_t i = 0; i < n; i++)
		if (now[i].seq == map->seq && now[i].fd == map->fd) {
			*map = now[i];
			return true;
		}
	return false;
}

/* Return: false where this round comes to its end. */
static bool collapse_next(void)
{
	const struct ram_map *map = &at.maps[at.map];
	uintptr_t unit = find_unit(map, at.next ? at.next : map->addr);

	if (!unit) {
		at.map++;
		at.next = 0;
		return true;
	}
	at.next = unit + at.unit;
	at.filled += at.unit;
	if (!real(madvise)((void *)unit, at.unit, MADV_COLLAPSE))
		return true;
	/* The host has no huge page free, or the cgroup no room for one; what else there is concerns this one alone. */
	return errno != ENOMEM && errno != EBUSY;
}

/** hugepages_due_ms() - when hugepages_step() is to be called next: milliseconds from now, -1 for never */
int hugepages_due_ms(void)
{
	uint64_t now = clock_now();

	if (settings.hugepages == HUGEPAGES_OFF)
		return -1;
	if (!at.due) /* madvise() of nothing says whether it knows the advice (madvise(2), Notes) */
		at.due = real(madvise)(NULL, 0, MADV_COLLAPSE) ? UINT64_MAX : now + FIRST_MS * MS;
	if (at.due == UINT64_MAX)
		return -1;
	return at.due <= now ? 0 : (int)((at.due - now) / MS) + 1;
}

/** hugepages_step() - go on with what there is to do, for some milliseconds; on the service thread, when nothing else is */
void hugepages_step(void)
{
	uint64_t start = clock_now();

	if (start < at.due)
		return;
	if (!at.in_round)
		begin_round();
	bool more = at.unit && at.missing, known = false;
	while (more && clock_now() - start < SLICE_MS * MS) {
		if (at.map == at.map_count) {
			more = false;
		} else if (!known && (!is_eligible(&at.maps[at.map]) || !is_there(&at.maps[at.map]))) {
			at.map++;
			at.next = 0;
		} else {
			size_t map = at.map;

			more = collapse_next();
			known = at.map == map;
		}
	}
	if (!more)
		end_round();
	else
		at.due = clock_now() + (clock_now() - start) * REST;
}

static void add_huge(struct hugerange *ranges, size_t count, uintptr_t from, uintptr_t to, uint64_t bytes)
{
	for (size_t i = 0; i < count; i++)
		if (from >= ranges[i].addr && to <= ranges[i].addr + ranges[i].size)
			ranges[i].bytes += bytes;
}

/**
 * hugepages_count() - how much of each range is mapped by huge pages
 * @ranges: with addr and size, of which none shares a mapping with another
 * @count:  how many
 *
 * From /proc/self/smaps (proc_pid_smaps(5)), which the kernel writes by looking at every page table: it takes some
 * milliseconds for each GiB in small pages.
 *
 * Return: 0 or a negative errno.
 */
int hugepages_count(struct hugerange *ranges, size_t count)
{
	static const char *const fields[] = { "AnonHugePages: %lu kB", "ShmemPmdMapped: %lu kB",
					      "Shared_Hugetlb: %lu kB", "Private_Hugetlb: %lu kB" };
	FILE *f = real(fopen64)("/proc/self/smaps", "re");
	unsigned long from = 0, to = 0, start, end, kb;
	char line[512];

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			from = start;
			to = end;
		}
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (sscanf(line, fields[i], &kb) == 1)
				add_huge(ranges, count, from, to, (uint64_t)kb * 1024);
	}
	real(fclose)(f);
	return 0;
}
