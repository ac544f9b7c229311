/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cgroups.c - the cgroups of this process and its threads; see cgroups.h.
 *
 * For room every level up to the root counts (cgroups(7)). The unified hierarchy and those of version 1 differ in names only.
 */
#include "cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/real.h"
#include "../state/cgroupfs.h"
#include "vm.h"

#define FILE_BYTES 65536
/* Version 1 says "no limit" by a number near the largest that there is. */
#define NO_LIMIT (UINT64_MAX / 4)

/**
 * struct controller - what is looked at
 * @name:    of the controller
 * @unified: in the unified hierarchy
 * @limit, @current: files
 * @cache, @shmem: lines of memory.stat, the first with the second; or NULL
 */
struct controller {
	const char *name;
	bool unified;
	const char *limit, *current;
	const char *cache, *shmem;
};

static const struct controller controllers[] = {
	{ "memory", true, "memory.max", "memory.current", "file", "shmem" },
	{ "memory", false, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache", "total_shmem" },
	{ "pids", true, "pids.max", "pids.current", NULL, NULL },
	{ "pids", false, "pids.max", "pids.current", NULL, NULL },
};

static const char *mountinfo(void)
{
	static char text[FILE_BYTES]; /* the service thread alone asks */

	vm_read_file("/proc/self/mountinfo", text, sizeof(text));
	return text;
}

/* The process's place in the hierarchy (cgroups(7), /proc/PID/cgroup). */
static bool find_place(const struct controller *c, char ret[PATH_MAX])
{
	static char text[FILE_BYTES];
	char *save = NULL;

	vm_read_file("/proc/self/cgroup", text, sizeof(text));
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;

		if (!path)
			continue;
		*path++ = '\0';
		if (c->unified ? names[1] : !cgroupfs_lists(names + 1, c->name))
			continue;
		snprintf(ret, PATH_MAX, "%s", path);
		return true;
	}
	return false;
}

static bool read_number(const char *dir, const char *name, uint64_t *ret)
{
	char path[2 * PATH_MAX + 64], text[64];
	char *end;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	vm_read_file(path, text, sizeof(text));
	*ret = strtoull(text, &end, 10);
	return end != text;
}

static uint64_t stat_line(const char *text, const char *name)
{
	char line[64];

	snprintf(line, sizeof(line), "\n%s ", name);
	const char *at = strstr(text, line);
	return at ? strtoull(at + strlen(line), NULL, 10) : 0;
}

/* What the kernel would take back: files' pages, without those of shared memory, which the guest's are. */
static uint64_t reclaimable(const struct controller *c, const char *dir)
{
	static char text[FILE_BYTES];
	char path[2 * PATH_MAX + 64];

	if (!c->cache)
		return 0;
	snprintf(path, sizeof(path), "%s/memory.stat", dir);
	text[0] = '\n';
	vm_read_file(path, text + 1, sizeof(text) - 1);
	uint64_t cache = stat_line(text, c->cache), shmem = stat_line(text, c->shmem);
	return cache > shmem ? cache - shmem : 0;
}

static void check_level(const struct controller *c, const char *dir, uint64_t need, struct reasons *reasons)
{
	uint64_t limit, current;

	if (!read_number(dir, c->limit, &limit) || !read_number(dir, c->current, &current) || limit > NO_LIMIT)
		return;
	uint64_t spare = reclaimable(c, dir);
	uint64_t used = current > spare ? current - spare : 0, left = limit > used ? limit - used : 0;
	if (left >= need)
		return;
	if (c->cache)
		reasons_add(reasons, BLOCKER_CGROUP_MEMORY,
			    "a second QEMU may need %" PRIu64 " MiB, and %s/%s leaves %" PRIu64 " MiB", need >> 20, dir,
			    c->limit, left >> 20);
	else
		reasons_add(reasons, BLOCKER_CGROUP_PIDS,
			    "a second QEMU may need %" PRIu64 " threads, and %s/%s leaves %" PRIu64, need, dir,
			    c->limit, left);
}

static void check_controller(const struct controller *c, uint64_t need, struct reasons *reasons)
{
	static char place[PATH_MAX], dir[2 * PATH_MAX];
	size_t mount;

	if (!find_place(c, place) ||
	    !cgroupfs_find(mountinfo(), c->unified ? "" : c->name, place, dir, sizeof(dir), &mount))
		return;
	for (;;) {
		char *slash;

		check_level(c, dir, need, reasons);
		slash = strrchr(dir, '/');
		if (!slash || (size_t)(slash - dir) < mount)
			return;
		*slash = '\0';
	}
}

/**
 * cgroups_check() - is there room for a second QEMU?
 * @memory:  bytes that it may need
 * @threads: how many it may have
 * @reasons: each level at which there is not
 */
void cgroups_check(uint64_t memory, uint64_t threads, struct reasons *reasons)
{
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		check_controller(&controllers[i], controllers[i].cache ? memory : threads, reasons);
}

static void read_thread(pid_t tid, char ret[CGROUPS_TEXT])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/cgroup", (int)tid);
	vm_read_file(path, ret, CGROUPS_TEXT);
}

/**
 * cgroups_read_thread() - in which cgroups is a thread of this process, and the process's first one is not?
 * @tid: the thread
 * @ret: a line for each, as in /proc/PID/cgroup
 *
 * By the service thread.
 */
void cgroups_read_thread(pid_t tid, char ret[CGROUPS_TEXT])
{
	static char first[CGROUPS_TEXT], text[CGROUPS_TEXT];
	char *end = ret;

	read_thread(getpid(), first);
	read_thread(tid, text);
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n"), whole = len + (line[len] == '\n');

		if (!cgroupfs_has_line(first, line, len)) {
			memcpy(end, line, whole);
			end += whole;
		}
		line += whole;
	}
	*end = '\0';
}

static int move(pid_t tid, const char *line)
{
	static char path[2 * PATH_MAX];
	char text[32];

	if (!cgroupfs_thread_file(mountinfo(), line, path, sizeof(path)))
		return -ENOENT;
	int fd = real(open)(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int len = snprintf(text, sizeof(text), "%d", (int)tid);
	int rc = write(fd, text, (size_t)len) < 0 ? -errno : 0;
	real(close)(fd);
	return rc;
}

/**
 * cgroups_move_thread() - put a thread of this process where another one was
 * @tid:    the thread
 * @wanted: what cgroups_read_thread() said of that one
 *
 * By the service thread. Where it is there already nothing is done.
 *
 * Return: 0, or the first negative errno.
 */
int cgroups_move_thread(pid_t tid, const char *wanted)
{
	static char now[CGROUPS_TEXT], text[CGROUPS_TEXT];
	char *save = NULL;
	int first = 0;

	if (!*wanted)
		return 0;
	read_thread(tid, now);
	snprintf(text, sizeof(text), "%s", wanted);
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		int rc = cgroupfs_has_line(now, line, strlen(line)) ? 0 : move(tid, line);

		first = first ? first : rc;
	}
	return first;
}
