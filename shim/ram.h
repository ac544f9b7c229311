/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ram.h - the guest's memory: where it is mapped, and from which memfd.
 *
 * QEMU allocates anonymous RAM in two steps (util/mmap-alloc.c, the same from 7.2 to 11): it reserves address space
 * with PROT_NONE, aligned and with a guard page, then maps over it with MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE. The
 * second step becomes a shared mapping of a memfd of ours, so that the memory can outlive the program. jemalloc and
 * JITs use the same flags: it is done only for a call from the main program's own code, on a thread that has just
 * reserved that very range.
 *
 * A successor's RAM stays anonymous while it initialises its devices; ram_rebind() then puts the preserved memfds over
 * it.
 */
#ifndef CPRSHIM_SHIM_RAM_H
#define CPRSHIM_SHIM_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RAM_MAPS 512

/**
 * struct ram_map - one mapping that may be guest RAM
 * @addr:   where
 * @size:   bytes, rounded to pages
 * @offset: where in the file
 * @seq:    position in the order of creation
 * @fd:	    descriptor of the memory: our memfd, or QEMU's own; -1 for anonymous memory
 * @prot:   protection as mapped
 * @advice: madvise(2) values given for all of it, as 1 << value
 * @ours:   @fd is a memfd of ours
 * @shared: mapped shared; a private mapping of a file cannot be preserved
 */
struct ram_map {
	uintptr_t addr;
	size_t size;
	uint64_t offset;
	uint64_t seq;
	int fd;
	int prot;
	uint32_t advice;
	bool ours;
	bool shared;
};

void ram_note_reserve(void *addr, size_t size);
bool ram_is_activation(void *addr, size_t size, const void *caller);
void *ram_map_anonymous(void *addr, size_t size, int prot, int flags);
bool ram_is_own_file(int fd);
void ram_note_file(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
void ram_note_unmap(void *addr, size_t size);
bool ram_advise(void *addr, size_t size, int advice, int *ret_rc);
bool ram_overlaps(const void *addr, size_t size);
size_t ram_list(struct ram_map *ret, size_t max);
int ram_rebind(uintptr_t addr, size_t size, int fd, uint64_t offset);

#endif
