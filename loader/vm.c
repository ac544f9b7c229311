/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm.c - the VM in this process, and the journal of its update; see vm.h. */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/real.h"
#include "../shim/slots.h"
#include "clock.h"
#include "probes.h"

struct vm vm = { .library_fd = -1, .cwd_fd = -1, .journal_fd = -1, .binary = { .fd = -1 } };

/**
 * vm_read_file() - read the beginning of a small file of /proc or /sys
 * @path: which
 * @ret:  what is in it, ended by NUL; "" where it cannot be read
 * @size: of @ret
 */
void vm_read_file(const char *path, char *ret, size_t size)
{
	int fd = real(open)(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n = fd < 0 ? -1 : 1;

	/* The kernel gives no more than a page of a list at a time. */
	while (n > 0 && used < size - 1) {
		n = read(fd, ret + used, size - 1 - used);
		used += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		real(close)(fd);
	ret[used] = '\0';
}

/** vm_start_time() - when this process began, in clock ticks since boot; an exec does not change it. 0 where not known. */
uint64_t vm_start_time(void)
{
	char text[1024];
	unsigned long long start = 0;

	vm_read_file("/proc/self/stat", text, sizeof(text));
	/* The command's name, in parentheses, may hold anything. */
	char *after = strrchr(text, ')');
	if (!after ||
	    sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
		   &start) != 1)
		return 0;
	return start;
}

/** vm_boot_id() - what tells this boot of the kernel from any other; "" where it is not known */
void vm_boot_id(char *ret, size_t size)
{
	static char known[64];

	if (!known[0])
		vm_read_file("/proc/sys/kernel/random/boot_id", known, sizeof(known));
	snprintf(ret, size, "%.*s", (int)strcspn(known, "\n"), known);
}

/**
 * vm_status_of() - a number from a process's status
 * @pid:  process
 * @name: of the line, without its colon (proc(5))
 * @base: that it is written in
 *
 * Return: the number, or 0 where there is no such line.
 */
uint64_t vm_status_of(pid_t pid, const char *name, int base)
{
	char path[64], text[8192], line[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	vm_read_file(path, text, sizeof(text));
	snprintf(line, sizeof(line), "\n%s:", name);
	const char *at = strstr(text, line);
	return at ? strtoull(at + strlen(line), NULL, base) : 0;
}

/** vm_process_status() - the same of this process */
uint64_t vm_process_status(const char *name, int base)
{
	return vm_status_of(getpid(), name, base);
}

/** vm_note_standard() - which of 0 to 2 are open? Before main(). */
void vm_note_standard(void)
{
	vm.standard = 0;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (real(fcntl)(fd, F_GETFD) >= 0)
			vm.standard |= 1u << fd;
}

/** vm_is_standard() - is this stdin, stdout or stderr? After -daemonize all three are. Async-signal-safe. */
bool vm_is_standard(int fd)
{
	return fd >= STDIN_FILENO && fd <= STDERR_FILENO && (vm.daemonized || vm.standard & 1u << fd);
}

/** vm_map_journal() - use the journal in this memfd. Return: 0 or a negative errno. */
int vm_map_journal(int fd)
{
	void *map = real(mmap)(NULL, sizeof(struct journal), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	vm.journal = map;
	vm.journal_fd = fd;
	return vm.journal->magic == JOURNAL_MAGIC ? 0 : -EBADMSG;
}

/** vm_new_journal() - begin an empty journal. Return: 0 or a negative errno. */
int vm_new_journal(void)
{
	static const uint64_t magic = JOURNAL_MAGIC;
	int fd = slots_memfd(JOURNAL_MEMFD);

	if (fd < 0)
		return fd;
	if (slots_size_memfd(fd, sizeof(struct journal)) || pwrite(fd, &magic, sizeof(magic), 0) != sizeof(magic)) {
		slots_close(fd);
		return -errno;
	}
	return vm_map_journal(fd);
}

/** vm_drop_journal() - the update is over */
void vm_drop_journal(void)
{
	if (vm.journal)
		real(munmap)(vm.journal, sizeof(*vm.journal));
	vm.journal = NULL;
	vm.journal_fd = slots_close(vm.journal_fd);
}

/** vm_mark() - note that a moment of the update has come. Async-signal-safe. */
void vm_mark(enum journal_moment moment)
{
	if (vm.journal)
		vm.journal->moment[moment] = clock_now();
	probes_moment(moment);
}
