/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* warm.c - page faults that are had beforehand; see warm.h. */
#include "warm.h"

#include <link.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../shim/real.h"
#include "vm.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22 /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

/* As QEMU's (util/rcu.c:call_rcu_thread) */
#define TRIM_PAD ((size_t)4 << 20)
/* The field's number in /proc/PID/stat */
#define START_BRK 47

static uintptr_t page_start(uintptr_t at)
{
	return at & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
}

static int populate(struct dl_phdr_info *info, size_t size, void *opaque)
{
	(void)size, (void)opaque;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t at = page_start(info->dlpi_addr + p->p_vaddr);

		if (p->p_type == PT_LOAD)
			real(madvise)((void *)at, info->dlpi_addr + p->p_vaddr + p->p_memsz - at, MADV_POPULATE_READ);
	}
	return 1; /* the program itself is the first one (dl_iterate_phdr(3)) */
}

/* Where the heap begins, or 0 where that is not known (proc(5): start_brk). */
static uintptr_t heap_start(void)
{
	char text[1024];

	vm_read_file("/proc/self/stat", text, sizeof(text));
	/* The command's name, in parentheses, may hold anything; after it comes field 3. */
	char *at = strrchr(text, ')');
	for (int field = 2; at && field < START_BRK; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

/** warm_program() - touch QEMU's code and data */
void warm_program(void)
{
	dl_iterate_phdr(populate, NULL);
}

/** warm_heap() - in a successor: have all of the heap there; it keeps that (shim/hooks_mem.c:malloc_trim()) until warm_end() */
void warm_heap(void)
{
	uintptr_t start = heap_start(), end = (uintptr_t)sbrk(0);

	if (start && start < end)
		real(madvise)((void *)page_start(start), end - page_start(start), MADV_POPULATE_WRITE);
}

/** warm_end() - in what was a successor: give back what QEMU itself would have given back */
void warm_end(void)
{
	real(malloc_trim)(TRIM_PAD);
}
