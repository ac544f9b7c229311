/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * prog_memory.c - memfds, and guest RAM as QEMU allocates it: reserved without access, then mapped over the
 * reservation.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"

#define RAM_SIZE (8u << 20)
#define PAGE	 4096u
#define GUARD	 PAGE

/* Bytes of memory behind a range, by the kernel's count of pages that are there. */
static long resident(void *at, size_t len)
{
	static unsigned char vec[RAM_SIZE / PAGE];
	long pages = 0;

	if (mincore(at, len, vec))
		return -1;
	for (size_t i = 0; i < len / PAGE; i++)
		pages += vec[i] & 1;
	return pages;
}

static bool is_filled(const uint8_t *at, size_t len, uint8_t value)
{
	for (size_t i = 0; i < len; i++)
		if (at[i] != value)
			return false;
	return true;
}

/* As util/mmap-alloc.c does; with MAP_SHARED for a backend with share=on. */
static uint8_t *allocate(int type)
{
	uint8_t *area = mmap64(NULL, RAM_SIZE + GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *ram = mmap64(area, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | type | MAP_ANONYMOUS, -1, 0);

	program_say("reserved and mapped", ram == area);
	return ram;
}

/* The name of what is mapped there, from /proc/self/maps. */
static bool mapped_from(const void *at, const char *name)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long from, to;
	bool found = false;
	char line[512];

	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && (uintptr_t)at >= from && (uintptr_t)at < to)
			found = strstr(line, name) != NULL;
	fclose(maps);
	return found;
}

static void guest_ram(void)
{
	uint8_t *ram = allocate(MAP_PRIVATE);

	if (program_expects_table() && !mapped_from(ram, "memfd:cprshim-ram"))
		program_fail("guest RAM is not in a memfd");
	program_agree("guest RAM");
	program_say("empty at first", is_filled(ram, RAM_SIZE, 0));
	memset(ram, 0x5a, RAM_SIZE);
	program_say("resident", resident(ram, RAM_SIZE));
	program_say("madvise", madvise(ram + PAGE, 512 * PAGE, MADV_DONTNEED));
	program_say("zeroed", is_filled(ram + PAGE, 512 * PAGE, 0));
	program_say("and no more",
		    is_filled(ram, PAGE, 0x5a) && is_filled(ram + 513 * PAGE, RAM_SIZE - 513 * PAGE, 0x5a));
	program_say("madvise", madvise(ram, RAM_SIZE, MADV_DONTNEED));
	program_say("freed", resident(ram, RAM_SIZE));
	program_say("madvise", madvise(ram, RAM_SIZE, MADV_DONTFORK));
	program_say("madvise", madvise(ram, RAM_SIZE, MADV_DONTDUMP));
	program_say("madvise", madvise(ram, RAM_SIZE, 12345));
	program_say("madvise of no whole page", madvise(ram + 1, PAGE, MADV_DONTNEED));
	program_say("madvise of nothing", madvise(ram, 0, MADV_DONTNEED));
	memset(ram, 1, 2 * PAGE);
	program_say("madvise of a byte", madvise(ram, 1, MADV_DONTNEED));
	program_say("its page", is_filled(ram, PAGE, 0) && is_filled(ram + PAGE, PAGE, 1));
	program_say("munmap", munmap(ram, RAM_SIZE + GUARD));
	program_agree("unmapped");
	program_say("madvise", madvise(ram, PAGE, MADV_DONTNEED));
}

static void shared_ram(void)
{
	uint8_t *ram = allocate(MAP_SHARED);

	if (program_expects_table() && !mapped_from(ram, "memfd:cprshim-ram"))
		program_fail("shared guest RAM is not in a memfd");
	memset(ram, 0x5a, RAM_SIZE);
	program_say("madvise", madvise(ram, 2 * PAGE, MADV_REMOVE));
	program_say("zeroed", is_filled(ram, 2 * PAGE, 0) && is_filled(ram + 2 * PAGE, RAM_SIZE - 2 * PAGE, 0x5a));
	program_say("munmap", munmap(ram, RAM_SIZE + GUARD));
	program_agree("shared RAM");
}

/* With pmem=on QEMU asks for MAP_SYNC first, which a file on no such memory refuses (mmap-alloc.c:mmap_activate). */
static void persistent_ram(void)
{
	int fd = memfd_create("pmem", MFD_CLOEXEC);
	uint8_t *area = mmap64(NULL, RAM_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int prot = PROT_READ | PROT_WRITE;

	program_say("ftruncate", ftruncate(fd, RAM_SIZE));
	void *at = mmap64(area, RAM_SIZE, prot, MAP_FIXED | MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
	program_say("refused", at == MAP_FAILED ? -1 : 0);
	if (at == MAP_FAILED)
		program_say("again", mmap64(area, RAM_SIZE, prot, MAP_FIXED | MAP_SHARED, fd, 0) == area);
	program_say("munmap", munmap(area, RAM_SIZE));
	program_say("close", close(fd));
	program_agree("persistent RAM");
}

static void locks(void)
{
	program_say("mlockall", mlockall(0));
	program_say("mlockall", mlockall(MCL_CURRENT));
	program_say("munlockall", munlockall());
}

/* What an allocator does with the same flags must stay what it is. */
static void other_mappings(void)
{
	uint8_t *at = mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	at[0] = 1;
	program_say("fixed, without a reservation",
		    mmap(at, PAGE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == at);
	program_say("empty", at[0]);
	if (mapped_from(at, "cprshim"))
		program_fail("a mapping that is no guest RAM is in a memfd");
	at[0] = 1;
	program_say("madvise", madvise(at, PAGE, MADV_DONTNEED));
	program_say("empty", at[0]);
	/* Guest RAM is never moved by QEMU; this is not guest RAM. */
	uint8_t *moved = mremap(at, 64 * PAGE, 128 * PAGE, MREMAP_MAYMOVE);
	program_say("mremap", moved != MAP_FAILED);
	program_say("mremap", mremap(moved, 128 * PAGE, 1, 0x1000) == MAP_FAILED ? -1 : 0);
	program_say("munmap", munmap(moved, 128 * PAGE));
	program_say("munmap", munmap((void *)1, PAGE));
	program_say("mmap", mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0);
	program_say("mmap", mmap64(NULL, PAGE, PROT_READ, MAP_SHARED, 4000, 0) == MAP_FAILED ? -1 : 0);
	program_agree("other mappings");
}

static void memfds(void)
{
	int fd = memfd_create("backend", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	program_say("memfd_create", fd);
	program_expect(fd, "memfd", "memfd_create", "backend");
	program_say("ftruncate", ftruncate(fd, RAM_SIZE));
	uint8_t *area = mmap(NULL, RAM_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *ram = mmap(area, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, fd, 0);
	program_say("mapped", ram == area);
	ram[5] = 7;
	uint8_t byte = 0;
	program_say("pread", pread(fd, &byte, 1, 5));
	program_say("byte", byte);
	program_agree("memfd");
	program_say("munmap", munmap(ram, RAM_SIZE));
	program_say("close", close(fd));
	program_say("memfd_create", memfd_create("x", 0x40000000));
	program_agree("memfd closed");
}

int main(void)
{
	program_start();
	guest_ram();
	shared_ram();
	persistent_ram();
	other_mappings();
	memfds();
	locks();
	return program_end();
}
