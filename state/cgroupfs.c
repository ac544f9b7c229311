/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroupfs.c - where cgroups are in the file system; see cgroupfs.h. */
#include "cgroupfs.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/** cgroupfs_lists() - is this word one of those with commas between? */
bool cgroupfs_lists(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (!strncmp(at, word, len) && (at[len] == ',' || !at[len]))
			return true;
	return false;
}

/** cgroupfs_has_line() - is this, of @len bytes and without an end, one of the lines? */
bool cgroupfs_has_line(const char *text, const char *line, size_t len)
{
	while (*text) {
		size_t n = strcspn(text, "\n");

		if (n == len && !memcmp(text, line, len))
			return true;
		text += n + (text[n] == '\n');
	}
	return false;
}

/* One line of mountinfo (proc(5)): is that hierarchy mounted there? */
static bool is_mount_of(const char *line, size_t len, const char *name, char root[PATH_MAX], char mount[PATH_MAX])
{
	const char *more = memmem(line, len, " - ", 3);
	char type[32], options[512];

	if (!more || sscanf(more, " - %31s %*s %511s", type, options) != 2 ||
	    sscanf(line, "%*s %*s %*s %4095s %4095s", root, mount) != 2)
		return false;
	return *name ? !strcmp(type, "cgroup") && cgroupfs_lists(options, name) : !strcmp(type, "cgroup2");
}

/**
 * cgroupfs_find() - where is a cgroup?
 * @mountinfo: of /proc/self/mountinfo
 * @name:      a controller, or "name=" and the name of a hierarchy of version 1; "" for the unified one
 * @place:     the cgroup's path, as /proc/PID/cgroup has it
 * @ret:       its directory
 * @size:      of @ret
 * @ret_mount: how many bytes of that are the mount's; NULL where nobody asks
 *
 * Return: false where that hierarchy is not mounted, or @ret is too small.
 */
bool cgroupfs_find(const char *mountinfo, const char *name, const char *place, char *ret, size_t size,
		   size_t *ret_mount)
{
	char root[PATH_MAX], mount[PATH_MAX];

	while (*mountinfo) {
		size_t len = strcspn(mountinfo, "\n");

		if (is_mount_of(mountinfo, len, name, root, mount)) {
			/* In a container the root of the mount is a cgroup further down. */
			size_t skip = strcmp(root, "/") && !strncmp(place, root, strlen(root)) ? strlen(root) : 0;

			if (ret_mount)
				*ret_mount = strlen(mount);
			return (size_t)snprintf(ret, size, "%s%s", mount, place + skip) < size;
		}
		mountinfo += len + (mountinfo[len] == '\n');
	}
	return false;
}

/**
 * cgroupfs_thread_file() - the file that a thread's number is written to
 * @mountinfo: of /proc/self/mountinfo
 * @line:      of /proc/PID/cgroup, without its end: N:NAMES:PATH
 * @ret:       the file
 * @size:      of @ret
 *
 * Return: false where that is no such line, or as cgroupfs_find().
 */
bool cgroupfs_thread_file(const char *mountinfo, const char *line, char *ret, size_t size)
{
	const char *names = strchr(line, ':'), *place = names ? strchr(names + 1, ':') : NULL;
	char first[64];

	if (!place)
		return false;
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(names + 1, ",:"), names + 1);
	if (!cgroupfs_find(mountinfo, first, place + 1, ret, size, NULL))
		return false;
	size_t len = strlen(ret);
	return (size_t)snprintf(ret + len, size - len, "/%s", *first ? "tasks" : "cgroup.threads") < size - len;
}
