/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pidfile.c - -pidfile's file; see pidfile.h. */
#include "pidfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../shim/real.h"
#include "../shim/table.h"
#include "argv.h"
#include "clock.h"
#include "vm.h"

#define LOOK_NS 5000000

static int directory(void)
{
	return vm.cwd_fd < 0 ? AT_FDCWD : vm.cwd_fd;
}

/* As QEMU itself (util/oslib-posix.c:qemu_write_pidfile): the lock lasts as long as the process. */
static int lock(int fd, uint64_t deadline)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	while (real(fcntl)(fd, F_SETLK, &all)) {
		if ((errno != EAGAIN && errno != EACCES) || clock_now() > deadline)
			return -errno;
		nanosleep(&look, NULL);
	}
	return 0;
}

static int write_id(int fd)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	return pwrite(fd, text, (size_t)len, 0) == len && !ftruncate(fd, len) ? 0 : -errno;
}

/**
 * pidfile_take() - write this process's id into the file, where the VM has one
 * @deadline_ns: CLOCK_MONOTONIC: how long the process that had the guest before may take to end
 *
 * Return: 0 or a negative errno.
 */
int pidfile_take(uint64_t deadline_ns)
{
	const char *path = argv_last(vm.argv, "pidfile");

	if (!path)
		return 0;
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
	int fd = real(openat64)(directory(), path, flags, 0600);
	if (fd < 0)
		return -errno;
	int rc = lock(fd, deadline_ns);
	if (!rc)
		rc = write_id(fd);
	if (rc) {
		real(close)(fd);
		return rc;
	}
	/* It is as if QEMU had it open. */
	table_note_file(fd, HOOK_open64, path, (unsigned int)flags);
	return 0;
}

/** pidfile_remove() - the VM ends, and QEMU may not know of the file: remove it, unless it is another process's by now */
void pidfile_remove(void)
{
	const char *path = argv_last(vm.argv, "pidfile");
	int fd = path ? real(openat64)(directory(), path, O_RDONLY | O_CLOEXEC) : -1;
	char text[32];
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		real(close)(fd);
	text[n > 0 ? n : 0] = '\0';
	if (n > 0 && strtol(text, NULL, 10) == getpid())
		unlinkat(directory(), path, 0);
}
