/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* looks.c - name and command line; see looks.h. */
#include "looks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "vm.h"

#define STAT_FIELDS 53

/* The numbers in /proc/self/stat, by their number in proc(5). */
static bool read_stat(unsigned long long field[STAT_FIELDS])
{
	char text[4096], *at;
	int fd = real(open)("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		real(close)(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The command's name, in parentheses, may hold anything; a letter for the state follows. */
	at = strrchr(text, ')');
	if (!at || strlen(at) < 4)
		return false;
	at += 3;
	for (int i = 4; i < STAT_FIELDS; i++) {
		char *end;

		field[i] = strtoull(at, &end, 10); /* a negative one comes out huge, and is not needed */
		if (end == at)
			return i > 51;
		at = end;
	}
	return true;
}

/*
 * PR_SET_MM_ARG_END needs CAP_SYS_RESOURCE; the whole description of the memory at once, with nothing but that end
 * changed, needs nothing (kernel/sys.c:prctl_set_mm_map).
 */
static int end_command_line(const char *end)
{
	unsigned long long f[STAT_FIELDS] = { 0 };

	if (!read_stat(f))
		return -EIO;
	struct prctl_mm_map map = {
		.start_code = f[26],
		.end_code = f[27],
		.start_data = f[45],
		.end_data = f[46],
		.start_brk = f[47],
		.brk = (uintptr_t)sbrk(0),
		.start_stack = f[28],
		.arg_start = f[48],
		.arg_end = (uintptr_t)end,
		.env_start = f[50],
		.env_end = f[51],
		.exe_fd = UINT32_MAX,
	};
	return prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) ? -errno : 0;
}

/**
 * looks_restore() - give the process the name and the command line that it had
 * @exec_argv: the arguments that the kernel gave us
 * @shown:     how many of them are to be seen: what follows stands there for safety's sake (loader/handover.c)
 *
 * Before any thread is made.
 */
void looks_restore(char **exec_argv, size_t shown)
{
	const char *name = strrchr(vm.argv[0], '/');

	prctl(PR_SET_NAME, name ? name + 1 : vm.argv[0]);
	int rc = end_command_line(exec_argv[shown]);
	if (rc)
		log_debug("the command line keeps its last arguments: %s", strerror(-rc));
}
