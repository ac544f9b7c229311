/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lateirq.c - preloaded into a QEMU: the I/O thread io0 (with -name debug-threads=on) signals
 * an eventfd late, as on a busy machine. A guest that is stopped at the right time loses an interrupt by that.
 */
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LATE_NS 50000000

__attribute__((visibility("default"))) ssize_t write(int fd, const void *data, size_t len)
{
	struct timespec late = { .tv_nsec = LATE_NS };
	uint64_t value = 0;
	char name[16] = "";

	if (len == sizeof(value))
		memcpy(&value, data, sizeof(value));
	if (value == 1 && !prctl(PR_GET_NAME, name) && !strcmp(name, "IO io0"))
		nanosleep(&late, NULL);
	return syscall(SYS_write, fd, data, len);
}
