/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ram.c - the guest's memory; see ram.h. */
#include "ram.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "guard.h"
#include "rammap.h"
#include "real.h"
#include "slots.h"
#include "table.h"

#define PAGE 4096u

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22 /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

/*
 * Advice that the kernel keeps with the mapping, so that it must be given again after a remap. The last bit of its
 * number tells each from what takes it back.
 */
#define ADVICE_KEPT (3u << MADV_DONTFORK | 3u << MADV_MERGEABLE | 3u << MADV_HUGEPAGE | 3u << MADV_DONTDUMP)
_Static_assert(MADV_DOFORK == (MADV_DONTFORK | 1) && MADV_UNMERGEABLE == (MADV_MERGEABLE | 1) &&
		       MADV_NOHUGEPAGE == (MADV_HUGEPAGE | 1) && MADV_DODUMP == (MADV_DONTDUMP | 1),
	       "advice comes in pairs");

static struct ram_map maps[RAM_MAPS];
static size_t map_count;
static uint64_t next_seq = 1;
static bool settled;   /* in a successor: the preserved memory is in its place */
static int lock_flags; /* what a successor's mlockall() asked for; 0: nothing */
/*
 * No hook for a mapping is ever entered from a signal handler, so a lock will do. Held for reading while memory is
 * freed, which several threads may do at once and which takes its time, so that no map goes away meanwhile.
 */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;

/* The last reservation, until guest RAM has been mapped over it: what comes to lie there later is something else. */
static __thread uintptr_t reserved_addr __attribute__((tls_model("initial-exec")));
static __thread size_t reserved_size __attribute__((tls_model("initial-exec")));

/**
 * ram_note_reserve() - the calling thread has reserved address space
 * @addr: start
 * @size: bytes
 */
void ram_note_reserve(void *addr, size_t size)
{
	reserved_addr = (uintptr_t)addr;
	reserved_size = size;
}

/**
 * ram_is_activation() - is this the second step of an allocation of guest RAM?
 * @addr:   fixed address
 * @size:   bytes
 * @caller: return address of the mmap() call
 *
 * A reservation is used once, but QEMU may try again where the kernel refused (MAP_SYNC, mmap-alloc.c:mmap_activate).
 */
bool ram_is_activation(void *addr, size_t size, const void *caller)
{
	uintptr_t at = (uintptr_t)addr;

	return reserved_size && at >= reserved_addr && at + size <= reserved_addr + reserved_size &&
	       guard_in_program_text(caller);
}

static void note(const struct ram_map *map)
{
	pthread_rwlock_wrlock(&lock);
	if (map_count < RAM_MAPS) {
		maps[map_count] = *map;
		maps[map_count++].seq = next_seq++;
	} else {
		table_incomplete("the VM has more RAM mappings than the shim can record");
	}
	pthread_rwlock_unlock(&lock);
}

/**
 * ram_map() - map guest RAM over its reservation
 * @addr, @size, @prot, @flags, @fd, @offset: as mmap's
 *
 * Return: as mmap's, with errno.
 */
void *ram_map(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct ram_map map = {
		.addr = (uintptr_t)addr,
		.size = size,
		.fd = flags & MAP_ANONYMOUS ? -1 : fd,
		.covered = -1,
		.prot = prot,
		.flags = flags,
		.offset = (uint64_t)offset,
	};
	void *ret;

	if (guard_role() == SHIM_SUCCESSOR && !settled)
		ret = rammap_scratch(&map);
	else if (flags & MAP_ANONYMOUS)
		ret = rammap_anonymous(&map);
	else
		ret = rammap_file(&map);
	if (ret != MAP_FAILED) {
		reserved_size = 0;
		note(&map);
	}
	return ret;
}

/* Index of the first mapping that shares a byte with the range, or map_count. Called with the lock. */
static size_t find_overlap(uintptr_t addr, size_t size)
{
	size_t i = 0;

	while (i < map_count && (maps[i].addr >= addr + size || addr >= maps[i].addr + maps[i].size))
		i++;
	return i;
}

/** ram_overlaps() - does a range share a byte with guest RAM? */
bool ram_overlaps(const void *addr, size_t size)
{
	pthread_rwlock_rdlock(&lock);
	bool found = find_overlap((uintptr_t)addr, size) < map_count;
	pthread_rwlock_unlock(&lock);
	return found;
}

/**
 * ram_note_unmap() - a range is about to be unmapped
 * @addr: start
 * @size: bytes
 *
 * The memfds of mappings inside it are closed: their memory is freed with the last mapping.
 */
void ram_note_unmap(void *addr, size_t size)
{
	uintptr_t from = (uintptr_t)addr;
	size_t i;

	if (from < reserved_addr + reserved_size && reserved_addr < from + size)
		reserved_size = 0;
	pthread_rwlock_wrlock(&lock);
	while ((i = find_overlap(from, size)) < map_count) {
		if (maps[i].addr < from || maps[i].addr + maps[i].size > from + size)
			table_incomplete("a part of guest RAM was unmapped");
		if (maps[i].ours) {
			table_forget(maps[i].fd);
			slots_close(maps[i].fd);
		}
		slots_close(maps[i].covered);
		memmove(&maps[i], &maps[i + 1], (--map_count - i) * sizeof(maps[0]));
	}
	pthread_rwlock_unlock(&lock);
}

/* Advice for a whole mapping is remembered; scratch memory gets it when it is replaced. */
static bool keep_advice(uintptr_t from, size_t size, int advice)
{
	bool scratch = false;

	pthread_rwlock_wrlock(&lock);
	size_t i = find_overlap(from, size);
	if (i < map_count && from <= maps[i].addr && from + size >= maps[i].addr + maps[i].size) {
		maps[i].advice = (maps[i].advice & ~(1u << (advice ^ 1))) | 1u << advice;
		scratch = maps[i].scratch;
	}
	pthread_rwlock_unlock(&lock);
	return scratch;
}

/* Scratch memory is never filled, and freed as the private memory that it is. */
static int advise_scratch(uintptr_t from, size_t size, int advice)
{
	if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE)
		return 0;
	return real(madvise)((void *)from, size, advice == MADV_REMOVE ? MADV_DONTNEED : advice);
}

/**
 * ram_advise() - do what an madvise() on guest RAM means now that the RAM is a memfd
 * @addr:   start
 * @size:   bytes
 * @advice: as madvise's
 * @ret_rc: what madvise() returns to its caller, with errno, where the answer is true
 *
 * MADV_DONTNEED on a shared mapping neither frees nor clears (madvise(2)); the balloon, free page reporting, virtio-mem
 * and an incoming postcopy rely on both, so it punches a hole. Where the memory is of a descriptor of QEMU's own, it
 * does so itself (softmmu/physmem.c:ram_block_discard_range).
 *
 * Return: true if it has been done here, false if madvise() itself is to be called.
 */
bool ram_advise(void *addr, size_t size, int advice, int *ret_rc)
{
	uintptr_t from = (uintptr_t)addr;
	bool done = false;

	/* As the kernel takes it: whole pages, and what does not begin on one is an error that it tells itself. */
	size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
	if (!size || from % PAGE)
		return false;
	if (advice > 0 && advice < 32 && (ADVICE_KEPT & 1u << advice)) {
		*ret_rc = 0;
		return keep_advice(from, size, advice);
	}
	pthread_rwlock_rdlock(&lock);
	size_t i = find_overlap(from, size);
	if (i < map_count && from >= maps[i].addr && from + size <= maps[i].addr + maps[i].size) {
		struct ram_map *map = &maps[i];

		done = map->scratch || (map->ours && advice == MADV_DONTNEED);
		if (done && !map->scratch)
			__atomic_store_n(&map->discarded, true, __ATOMIC_RELAXED);
		if (map->scratch)
			*ret_rc = advise_scratch(from, size, advice);
		else if (done)
			*ret_rc = fallocate(map->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					    (off_t)(map->offset + (from - map->addr)), (off_t)size);
	}
	pthread_rwlock_unlock(&lock);
	return done;
}

/**
 * ram_list() - copy the recorded mappings out
 * @ret: where they go
 * @max: how many fit
 *
 * Return: how many there are, at most @max.
 */
size_t ram_list(struct ram_map *ret, size_t max)
{
	pthread_rwlock_rdlock(&lock);
	size_t n = map_count < max ? map_count : max;
	memcpy(ret, maps, n * sizeof(maps[0]));
	pthread_rwlock_unlock(&lock);
	return n;
}

/** ram_holds() - is this descriptor, QEMU's or ours, one of guest RAM? */
bool ram_holds(int fd)
{
	bool found = false;

	pthread_rwlock_rdlock(&lock);
	for (size_t i = 0; i < map_count && !found; i++)
		found = maps[i].fd == fd;
	pthread_rwlock_unlock(&lock);
	return found;
}

/**
 * ram_rebind() - put preserved memory over a mapping of the successor's
 * @addr:   start of the mapping
 * @size:   its size; the preserved memory has at least as much
 * @fd:	    the preserved memory; one of ours. Where the successor mapped a descriptor of its own, that number refers to
 *	    the preserved memory afterwards too
 * @offset: where in it
 *
 * Return: 0 or a negative errno, -ENOENT where no such mapping is recorded.
 */
int ram_rebind(uintptr_t addr, size_t size, int fd, uint64_t offset)
{
	int rc = -ENOENT;

	pthread_rwlock_wrlock(&lock);
	size_t i = find_overlap(addr, size);
	if (i < map_count && maps[i].addr == addr && maps[i].size >= size)
		rc = rammap_rebind(&maps[i], fd, offset);
	pthread_rwlock_unlock(&lock);
	return rc;
}

/**
 * ram_prepare() - in a successor that waits beside the guest: get ready for a ram_rebind() with the same arguments
 *
 * It must not matter whether that comes. ramshadow_fill() does the most of it.
 */
void ram_prepare(uintptr_t addr, size_t size, int fd, uint64_t offset)
{
	pthread_rwlock_rdlock(&lock);
	size_t i = find_overlap(addr, size);
	if (i < map_count && maps[i].addr == addr && maps[i].size >= size)
		rammap_prepare(&maps[i], fd, offset);
	pthread_rwlock_unlock(&lock);
}

/* Called with the lock. */
static struct ram_map *find_ours(uintptr_t addr)
{
	size_t i = find_overlap(addr, 1);

	return i < map_count && maps[i].addr == addr && maps[i].ours ? &maps[i] : NULL;
}

/** ram_is_undiscarded() - is the mapping at this address memory of ours of which nothing has been given back? */
bool ram_is_undiscarded(uintptr_t addr)
{
	pthread_rwlock_rdlock(&lock);
	const struct ram_map *map = find_ours(addr);
	bool undiscarded = map && !map->discarded;
	pthread_rwlock_unlock(&lock);
	return undiscarded;
}

/** ram_set_undiscarded() - after ram_rebind(): nothing of that memory had been given back */
void ram_set_undiscarded(uintptr_t addr)
{
	pthread_rwlock_wrlock(&lock);
	struct ram_map *map = find_ours(addr);
	if (map)
		map->discarded = false;
	pthread_rwlock_unlock(&lock);
}

/**
 * ram_settle() - in a successor: all preserved memory is in its place
 *
 * From now on RAM is allocated as in a VM that was not updated. What is scratch memory still has no name in QEMU.
 *
 * Return: 0 or a negative errno.
 */
int ram_settle(void)
{
	int rc = 0;

	pthread_rwlock_wrlock(&lock);
	settled = true;
	for (size_t i = 0; !rc && i < map_count; i++)
		if (maps[i].scratch && maps[i].covered >= 0)
			rc = rammap_settle(&maps[i]);
	pthread_rwlock_unlock(&lock);
	return rc;
}

/**
 * ram_defer_lock() - a mlockall() of QEMU's: is it to be done later?
 * @flags: as mlockall's
 *
 * It would fill the scratch memory of a successor.
 */
bool ram_defer_lock(int flags)
{
	if (guard_role() != SHIM_SUCCESSOR)
		return false;
	lock_flags |= flags;
	return true;
}

/** ram_lock_is_due() - has ram_defer_lock() put anything off? */
bool ram_lock_is_due(void)
{
	return lock_flags != 0;
}

/**
 * ram_lock() - do what ram_defer_lock() has put off
 *
 * Return: 0 or a negative errno.
 */
int ram_lock(void)
{
	int flags = lock_flags;

	lock_flags = 0;
	return real(mlockall)(flags) ? -errno : 0;
}
