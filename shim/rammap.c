/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rammap.c - one mapping of the guest's memory; see rammap.h. */
#include "rammap.h"

#include <errno.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "ramshadow.h"
#include "real.h"
#include "settings.h"
#include "slots.h"
#include "table.h"

#define RAM_MEMFD_NAME "cprshim-ram"
/* Smaller blocks are firmware's and devices': reserved huge pages are for the guest's memory. */
#define HUGE_LEAST (32u << 20)
#define NODES_MAX  1024u /* that a kernel can be built for */
#define LONG_BITS  (8 * sizeof(unsigned long))

/**
 * ram_is_own_file() - does a descriptor lead to a file that QEMU made for guest RAM and that nobody else can open?
 * @fd: QEMU's
 *
 * With -mem-path DIR (softmmu/physmem.c:file_ram_open) it is made by mkstemp() and unlinked at once, and a memfd has no
 * path to begin with. Mapped privately, as QEMU does without share=on, its contents would end with the program; mapped
 * shared, only we can tell the difference. A file of the user's own stays as it was asked for.
 */
bool ram_is_own_file(int fd)
{
	char path[64], link[PATH_MAX];
	struct stat st;

	if (fd < 0 || fstat(fd, &st) || st.st_nlink != 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	return strstr(link, "/qemu_back_mem.") || !strncmp(link, "/memfd:", 7);
}

/* How memory of a descriptor is mapped, for an mmap() of QEMU's that asked for it otherwise. */
static int as_shared(int flags)
{
	return (flags & ~(MAP_TYPE | MAP_SYNC | MAP_ANONYMOUS)) | MAP_SHARED;
}

/*
 * A memfd of reserved huge pages, with as many reserved as the mapping needs, or a negative errno.
 *
 * The pages of a shared mapping are reserved for the file and stay so (mm/hugetlb.c:hugetlb_reserve_pages), so they are
 * by a mapping elsewhere first: a fixed one that fails may already have removed what was there (mmap(2)).
 */
static int reserve_huge(const struct ram_map *map)
{
	int fd = map->size < HUGE_LEAST ? -EINVAL : slots_memfd_huge(RAM_MEMFD_NAME);
	struct stat st;

	if (fd < 0)
		return fd;
	bool fits = !fstat(fd, &st) && !(map->size % (size_t)st.st_blksize) && !(map->addr % (size_t)st.st_blksize);
	void *trial = fits && !slots_size_memfd(fd, (off_t)map->size)
			      ? real(mmap)(NULL, map->size, PROT_READ, MAP_SHARED, fd, 0)
			      : MAP_FAILED;
	if (trial != MAP_FAILED) {
		real(munmap)(trial, map->size);
		return fd;
	}
	if (fits)
		log_warn("too few huge pages are reserved for %zu MiB of guest RAM: it is in small ones",
			 map->size >> 20);
	slots_close(fd);
	return -ENOMEM;
}

/**
 * rammap_anonymous() - map anonymous memory, as mmap(2)
 *
 * Where no memfd can be had it is mapped as QEMU asked, and the table is marked incomplete: the guest
 * runs as it would without us, but cannot be updated.
 */
void *rammap_anonymous(struct ram_map *map)
{
	int fd = settings.hugepages == HUGEPAGES_HUGETLB ? reserve_huge(map) : -1;
	void *ret = MAP_FAILED;

	if (fd < 0)
		fd = slots_memfd(RAM_MEMFD_NAME);
	if (fd >= 0 && !slots_size_memfd(fd, (off_t)map->size))
		ret = real(mmap)((void *)map->addr, map->size, map->prot, as_shared(map->flags), fd, 0);
	if (ret != MAP_FAILED) {
		map->fd = fd;
		map->ours = map->shared = true;
		table_note_text(fd, FDKIND_RAM, HOOK_mmap64, RAM_MEMFD_NAME);
		return ret;
	}
	slots_close(fd);
	table_incomplete("guest RAM could not be allocated from a memfd (limit on open files, file size or memory?)");
	return real(mmap)((void *)map->addr, map->size, map->prot, map->flags, -1, 0);
}

/**
 * rammap_file() - map memory of a descriptor of QEMU's, as mmap(2)
 *
 * What cannot be written is the file's, however it is mapped (a read-only NVDIMM).
 */
void *rammap_file(struct ram_map *map)
{
	if ((map->flags & MAP_TYPE) == MAP_PRIVATE && ram_is_own_file(map->fd))
		map->flags = as_shared(map->flags);
	map->shared = (map->flags & MAP_TYPE) != MAP_PRIVATE || !(map->prot & PROT_WRITE);
	return real(mmap)((void *)map->addr, map->size, map->prot, map->flags, map->fd, (off_t)map->offset);
}

/* Put @fd under QEMU's number, which stays closed or open at an exec as it was. */
static int put_under(int number, int fd)
{
	int flags = real(fcntl)(number, F_GETFD);

	if (real(dup3)(fd, number, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0)
		return -errno;
	table_refresh(number);
	return 0;
}

/* An empty file under the number of the one that QEMU has opened, which is kept elsewhere. */
static int cover_file(struct ram_map *map)
{
	struct stat st;
	int cover = slots_memfd("cprshim-cover");
	int rc = cover < 0 ? cover : 0;

	map->covered = slots_park(map->fd);
	if (!rc && (map->covered < 0 || fstat(map->covered, &st) || slots_size_memfd(cover, st.st_size)))
		rc = -EIO;
	if (!rc)
		rc = put_under(map->fd, cover);
	slots_close(cover);
	return rc;
}

/**
 * rammap_scratch() - map memory that costs nothing until it is written, in place of whatever was asked for, as mmap(2)
 *
 * While a successor starts up. So preallocated, locked and huge pages are not there twice, and what is written while devices
 * are made (the reset of a virtio-mem device discards all of its memory) reaches neither the guest's memory nor a file of the
 * user's.
 */
void *rammap_scratch(struct ram_map *map)
{
	void *ret = real(mmap)((void *)map->addr, map->size, map->prot,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	if (ret == MAP_FAILED)
		return ret;
	map->scratch = true;
	if (map->fd >= 0 && cover_file(map)) {
		map->covered = slots_close(map->covered);
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return ret;
}

static void advise_again(const struct ram_map *map)
{
	for (int advice = 1; advice < 32; advice++)
		if (map->advice & 1u << advice)
			real(madvise)((void *)map->addr, map->size, advice);
}

/* Memory policy as QEMU has set it (backends/hostmem.c), where the kernel keeps it: with the mapping. */
struct policy {
	int mode;
	unsigned long nodes[NODES_MAX / LONG_BITS];
};

static void read_policy(const struct ram_map *map, struct policy *ret)
{
	*ret = (struct policy){ .mode = MPOL_DEFAULT };
	if (syscall(SYS_get_mempolicy, &ret->mode, ret->nodes, (unsigned long)NODES_MAX, map->addr, MPOL_F_ADDR))
		ret->mode = MPOL_DEFAULT;
}

/* For pages to come: those that are there stay where they are. */
static void set_policy(const struct ram_map *map, const struct policy *policy)
{
	if (policy->mode != MPOL_DEFAULT)
		syscall(SYS_mbind, map->addr, map->size, policy->mode, policy->nodes, (unsigned long)NODES_MAX, 0);
}

/* Put memory of a descriptor over a mapping, as QEMU has asked for that. */
static int map_over(const struct ram_map *map, int fd, uint64_t offset)
{
	void *addr = (void *)map->addr, *at = MAP_FAILED;

	if ((map->flags & MAP_TYPE) == MAP_SHARED_VALIDATE)
		at = real(mmap)(addr, map->size, map->prot, map->flags, fd, (off_t)offset);
	if (at == MAP_FAILED)
		at = real(mmap)(addr, map->size, map->prot, as_shared(map->flags), fd, (off_t)offset);
	return at == MAP_FAILED ? -errno : 0;
}

static int map_with_policy(const struct ram_map *map, int fd, uint64_t offset)
{
	struct policy policy;

	read_policy(map, &policy);
	int rc = map_over(map, fd, offset);
	if (!rc) {
		advise_again(map);
		set_policy(map, &policy);
	}
	return rc;
}

/**
 * rammap_rebind() - put preserved memory over a mapping of a successor's
 * @map:    the mapping
 * @fd:	    the memory; one of ours
 * @offset: where in it
 *
 * Return: 0 or a negative errno.
 */
int rammap_rebind(struct ram_map *map, int fd, uint64_t offset)
{
	int rc = ramshadow_move(map, fd, offset) ? 0 : map_with_policy(map, fd, offset);

	if (!rc && map->fd >= 0)
		rc = put_under(map->fd, fd);
	if (rc)
		return rc;
	if (map->fd < 0) {
		map->fd = fd;
		map->ours = true;
		map->discarded = true; /* ram_set_undiscarded() knows better */
		table_note_text(fd, FDKIND_RAM, HOOK_mmap64, RAM_MEMFD_NAME);
	}
	map->covered = slots_close(map->covered);
	map->offset = offset;
	map->shared = true;
	map->scratch = false;
	return 0;
}

/** rammap_prepare() - get ready for a rammap_rebind() with the same arguments (ramshadow.h) */
void rammap_prepare(const struct ram_map *map, int fd, uint64_t offset)
{
	struct ram_map there = *map;
	struct policy policy;

	/* Mapped elsewhere, it is advised as what it is for. */
	there.addr = (uintptr_t)ramshadow_map(map, as_shared(map->flags), fd, offset);
	if (!there.addr)
		return;
	read_policy(map, &policy);
	advise_again(&there);
	set_policy(&there, &policy);
}

/**
 * rammap_settle() - give scratch memory of a memory backend that no device uses the file that it was to have
 *
 * Return: 0 or a negative errno.
 */
int rammap_settle(struct ram_map *map)
{
	struct policy policy;

	read_policy(map, &policy);
	int rc = put_under(map->fd, map->covered);
	if (!rc && rammap_file(map) == MAP_FAILED)
		rc = -errno;
	map->covered = slots_close(map->covered);
	map->scratch = false;
	advise_again(map);
	set_policy(map, &policy);
	return rc;
}
