/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ram.c - the guest's memory; see ram.h. */
#include "ram.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guard.h"
#include "real.h"
#include "slots.h"
#include "table.h"

#define RAM_MEMFD_NAME "cprshim-ram"
#define PAGE	       4096u

/* Advice that the kernel keeps with the mapping, so that it must be given again after a remap. */
#define ADVICE_KEPT \
	(1u << MADV_MERGEABLE | 1u << MADV_HUGEPAGE | 1u << MADV_NOHUGEPAGE | 1u << MADV_DONTDUMP | 1u << MADV_DONTFORK)

static struct ram_map maps[RAM_MAPS];
static size_t map_count;
static uint64_t next_seq = 1;
/* No hook for a mapping is ever entered from a signal handler, so a mutex will do. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

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
 */
bool ram_is_activation(void *addr, size_t size, const void *caller)
{
	uintptr_t at = (uintptr_t)addr;
	bool is = reserved_size && at >= reserved_addr && at + size <= reserved_addr + reserved_size &&
		  guard_in_program_text(caller);

	/* A reservation is used once: what is mapped over it later is something else. */
	if (is)
		reserved_size = 0;
	return is;
}

static void note(const struct ram_map *map)
{
	pthread_mutex_lock(&lock);
	if (map_count < RAM_MAPS) {
		maps[map_count] = *map;
		maps[map_count++].seq = next_seq++;
	} else {
		table_incomplete("the VM has more RAM mappings than the shim can record");
	}
	pthread_mutex_unlock(&lock);
}

/**
 * ram_map_anonymous() - map guest RAM
 * @addr:  fixed address
 * @size:  bytes
 * @prot:  as mmap's
 * @flags: as mmap's
 *
 * Where no memfd can be had the memory is mapped as QEMU asked, and the table is marked incomplete: the guest runs as
 * it would without us, but cannot be updated.
 *
 * Return: as mmap's, with errno.
 */
void *ram_map_anonymous(void *addr, size_t size, int prot, int flags)
{
	struct ram_map map = { .addr = (uintptr_t)addr, .size = size, .fd = -1, .prot = prot };
	int shared = (flags & ~(MAP_PRIVATE | MAP_ANONYMOUS)) | MAP_SHARED;
	void *ret = MAP_FAILED;

	if (guard_role() == SHIM_VMM) {
		int fd = slots_memfd(RAM_MEMFD_NAME);

		if (fd >= 0 && !ftruncate(fd, (off_t)size))
			ret = real(mmap)(addr, size, prot, shared, fd, 0);
		if (ret != MAP_FAILED) {
			map.fd = fd;
			map.ours = map.shared = true;
			reserved_size = 0;
			note(&map);
			table_note_text(fd, FDKIND_RAM, HOOK_mmap64, RAM_MEMFD_NAME);
			return ret;
		}
		slots_close(fd);
		table_incomplete("guest RAM could not be allocated from a memfd (limit on open files or memory?)");
	}
	ret = real(mmap)(addr, size, prot, flags, -1, 0);
	if (ret != MAP_FAILED) {
		reserved_size = 0;
		note(&map);
	}
	return ret;
}

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

/**
 * ram_note_file() - record guest RAM that QEMU mapped from a descriptor of its own
 * @addr:   where
 * @size:   bytes
 * @prot:   as mmap's
 * @flags:  as mmap's
 * @fd:	    QEMU's descriptor
 * @offset: where in the file
 */
void ram_note_file(void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
	struct ram_map map = {
		.addr = (uintptr_t)addr,
		.size = size,
		.fd = fd,
		.prot = prot,
		.offset = (uint64_t)offset,
		.shared = (flags & MAP_SHARED) != 0,
	};

	reserved_size = 0;
	note(&map);
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
	pthread_mutex_lock(&lock);
	bool found = find_overlap((uintptr_t)addr, size) < map_count;
	pthread_mutex_unlock(&lock);
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

	pthread_mutex_lock(&lock);
	while ((i = find_overlap(from, size)) < map_count) {
		if (maps[i].addr < from || maps[i].addr + maps[i].size > from + size)
			table_incomplete("a part of guest RAM was unmapped");
		if (maps[i].ours) {
			table_forget(maps[i].fd);
			slots_close(maps[i].fd);
		}
		memmove(&maps[i], &maps[i + 1], (--map_count - i) * sizeof(maps[0]));
	}
	pthread_mutex_unlock(&lock);
}

/**
 * ram_advise() - do what an madvise() on guest RAM means now that the RAM is a memfd
 * @addr:   start
 * @size:   bytes
 * @advice: as madvise's
 * @ret_rc: what madvise() returns to its caller, with errno, where the answer is true
 *
 * MADV_DONTNEED on a shared mapping neither frees nor clears (madvise(2)); the balloon, free page reporting, virtio-mem
 * and an incoming postcopy rely on both, so it punches a hole.
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
	pthread_mutex_lock(&lock);
	size_t i = find_overlap(from, size);
	if (i < map_count) {
		struct ram_map *map = &maps[i];
		bool all = from <= map->addr && from + size >= map->addr + map->size;

		if (all && advice > 0 && advice < 32 && (ADVICE_KEPT & 1u << advice))
			map->advice |= 1u << advice;
		if (advice == MADV_DONTNEED && map->ours && from >= map->addr && from + size <= map->addr + map->size) {
			*ret_rc = fallocate(map->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					    (off_t)(map->offset + (from - map->addr)), (off_t)size);
			done = true;
		}
	}
	pthread_mutex_unlock(&lock);
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
	pthread_mutex_lock(&lock);
	size_t n = map_count < max ? map_count : max;
	memcpy(ret, maps, n * sizeof(maps[0]));
	pthread_mutex_unlock(&lock);
	return n;
}

static void advise_again(const struct ram_map *map)
{
	for (int advice = 1; advice < 32; advice++)
		if (map->advice & 1u << advice)
			real(madvise)((void *)map->addr, map->size, advice);
}

/**
 * ram_rebind() - put preserved memory over a mapping of the successor's
 * @addr:   start of the mapping
 * @size:   its size; the preserved memory has at least as much
 * @fd:	    memfd with the preserved memory; one of ours. Where the successor mapped a descriptor of its own, that number
 *	    refers to the preserved memory afterwards too
 * @offset: where in it
 *
 * Return: 0 or a negative errno, -ENOENT where no such mapping is recorded.
 */
int ram_rebind(uintptr_t addr, size_t size, int fd, uint64_t offset)
{
	int rc = -ENOENT;

	pthread_mutex_lock(&lock);
	size_t i = find_overlap(addr, size);
	if (i < map_count && maps[i].addr == addr && maps[i].size >= size) {
		struct ram_map *map = &maps[i];
		void *at = real(mmap)((void *)addr, map->size, map->prot, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd,
				      (off_t)offset);

		rc = at == MAP_FAILED ? -errno : 0;
		if (!rc && map->fd >= 0 && !map->ours && real(dup3)(fd, map->fd, O_CLOEXEC) < 0)
			rc = -errno;
		if (!rc) {
			map->ours = map->fd < 0;
			map->fd = map->fd < 0 ? fd : map->fd;
			map->offset = offset;
			map->shared = true;
			advise_again(map);
		}
	}
	pthread_mutex_unlock(&lock);
	return rc;
}
