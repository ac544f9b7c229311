/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* slots.c - the shim's own descriptors; see slots.h. */
#include "slots.h"

#include <errno.h>
#include <stdint.h>
#include <sys/resource.h>

#include "../state/fdtable.h"
#include "../state/memfd.h"
#include "real.h"

/* Where ours begin when the limit on open files allows it; some programs still use select() below 1024. */
#define BASE_WANTED 700

static int base = BASE_WANTED;
static uint8_t owned[FDTABLE_SLOTS];

/**
 * slots_setup() - choose the numbers, by the limit on open files
 *
 * Called before main(), and again where the limit turns out to be lower than it was.
 */
void slots_setup(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < 1024)
		base = (int)limit.rlim_cur / 2;
}

/**
 * slots_park() - take a second, high number for an open file
 * @fd: stays the caller's
 *
 * Return: the number, close-on-exec, or a negative errno.
 */
int slots_park(int fd)
{
	int high = real(fcntl)(fd, F_DUPFD_CLOEXEC, base);

	if (high < 0 && errno == EINVAL) {
		/* The limit on open files was lowered below our numbers while the VM ran (prlimit(1)). */
		slots_setup();
		high = real(fcntl)(fd, F_DUPFD_CLOEXEC, base);
	}
	if (high < 0)
		return -errno;
	return slots_adopt(high);
}

/**
 * slots_move() - give an open file a high number instead of its own
 * @fd: closed in any case
 *
 * Return: the number, close-on-exec, or a negative errno.
 */
int slots_move(int fd)
{
	int high = slots_park(fd);

	real(close)(fd);
	return high;
}

static int make_memfd(const char *name, unsigned int flags)
{
	int fd = real(memfd_create)(name, flags | MEMFD_FLAGS);

	if (fd < 0 && errno == EINVAL)
		fd = real(memfd_create)(name, flags | MEMFD_FLAGS_OLD);
	return fd < 0 ? -errno : slots_move(fd);
}

/**
 * slots_memfd() - make a memfd of our own
 * @name: as it appears in /proc/PID/fd
 *
 * Return: its number, sealable, not executable where the kernel knows that, or a negative errno.
 */
int slots_memfd(const char *name)
{
	return make_memfd(name, 0);
}

/** slots_memfd_huge() - the same, of reserved huge pages of the default size (hugetlbfs) */
int slots_memfd_huge(const char *name)
{
	return make_memfd(name, MFD_HUGETLB);
}

/**
 * slots_size_memfd() - give a memfd its size
 * @fd:	  the memfd
 * @size: bytes
 *
 * Not beyond the limit on a file's size, which counts for a memfd, too: the kernel would send SIGXFSZ, which ends the process
 * (fs/attr.c:inode_newsize_ok()).
 *
 * Return: as ftruncate(2), with errno.
 */
int slots_size_memfd(int fd, off_t size)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < (rlim_t)size) {
		errno = EFBIG;
		return -1;
	}
	return ftruncate(fd, size);
}

/**
 * slots_adopt() - count a descriptor as ours
 * @fd: its number
 *
 * Return: @fd, or -EMFILE where the number is too high for us; it is then closed.
 */
int slots_adopt(int fd)
{
	if (fd < 0 || (unsigned int)fd >= FDTABLE_SLOTS) {
		real(close)(fd);
		return -EMFILE;
	}
	__atomic_store_n(&owned[fd], 1, __ATOMIC_RELEASE);
	return fd;
}

/** slots_close() - close one of ours; a negative number is ignored. Return: -1, for the variable that held it. */
int slots_close(int fd)
{
	if (fd >= 0) {
		slots_give_up(fd);
		real(close)(fd);
	}
	return -1;
}

/** slots_owns() - is this descriptor ours? Async-signal-safe. */
bool slots_owns(int fd)
{
	return fd >= 0 && (unsigned int)fd < FDTABLE_SLOTS && __atomic_load_n(&owned[fd], __ATOMIC_ACQUIRE);
}

/** slots_give_up() - a descriptor of ours is QEMU's from now on */
void slots_give_up(int fd)
{
	if (fd >= 0 && (unsigned int)fd < FDTABLE_SLOTS)
		__atomic_store_n(&owned[fd], 0, __ATOMIC_RELEASE);
}
