/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hugepages.h - huge pages for guest RAM, as the host would have given them without us.
 *
 * Most hosts give transparent huge pages to anonymous memory that asks for them, as QEMU does for all guest RAM
 * (softmmu/physmem.c:ram_block_add), and none to shared memory
 * (/sys/kernel/mm/transparent_hugepage/shmem_enabled is "never" unless somebody changes it). Since the RAM is a memfd,
 * it would lose them. So memory that the guest has used is collapsed into huge pages afterwards (MADV_COLLAPSE,
 * Linux 6.1), a little at a time, by the service thread: nothing is done while a VM starts, or while it is updated.
 */
#ifndef CPRSHIM_LOADER_HUGEPAGES_H
#define CPRSHIM_LOADER_HUGEPAGES_H

#include <stddef.h>
#include <stdint.h>

int hugepages_due_ms(void);
void hugepages_step(void);

/**
 * struct hugerange - how much of an address range is in huge pages
 * @addr, @size: the range
 * @bytes:	 filled in by hugepages_count()
 */
struct hugerange {
	uintptr_t addr;
	size_t size;
	uint64_t bytes;
};

int hugepages_count(struct hugerange *ranges, size_t count);

#endif
