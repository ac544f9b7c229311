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
 * Whatever memory a successor asks for is scratch memory while it initialises its devices: anonymous, and not there until
 * it is written. ram_rebind() then puts the preserved memory over it.
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
 * @covered: while scratch memory stands for a file of QEMU's: that file; @fd is an empty one then. Else -1
 * @prot:   protection as mapped
 * @flags:  as QEMU gave them to mmap()
 * @advice: madvise(2) values given for all of it, as 1 << value
 * @ours:   @fd is a memfd of ours
 * @shared: mapped shared, or never written; a private mapping of a file cannot be preserved
 * @scratch: scratch memory of a successor
 * @discarded: of @ours: holes in it may be what a balloon or its like has given back, and not only what was never used
 */
struct ram_map {
	uintptr_t addr;
	size_t size;
	uint64_t offset;
	uint64_t seq;
	int fd;
	int covered;
	int prot;
	int flags;
	uint32_t advice;
	bool ours;
	bool shared;
	bool scratch;
	bool discarded;
};

void ram_note_reserve(void *addr, size_t size);
bool ram_is_activation(void *addr, size_t size, const void *caller);
void *ram_map(void *addr, size_t size, int prot, int flags, int fd, off_t offset);
bool ram_is_own_file(int fd);
void ram_note_unmap(void *addr, size_t size);
bool ram_advise(void *addr, size_t size, int advice, int *ret_rc);
bool ram_overlaps(const void *addr, size_t size);
size_t ram_list(struct ram_map *ret, size_t max);
bool ram_holds(int fd);
void ram_prepare(uintptr_t addr, size_t size, int fd, uint64_t offset);
int ram_rebind(uintptr_t addr, size_t size, int fd, uint64_t offset);
int ram_settle(void);
bool ram_is_undiscarded(uintptr_t addr);
void ram_set_undiscarded(uintptr_t addr);
bool ram_defer_lock(int flags);
bool ram_lock_is_due(void);
int ram_lock(void);

#endif
