/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* places.c - the cgroups of a VM's threads; see places.h. */
#include "places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../state/cgroupfs.h"
#include "jget.h"

#define TEXT_BYTES   4096
#define MOUNTS_BYTES 65536

static bool read_thread(pid_t pid, long tid, char ret[TEXT_BYTES])
{
	char name[64];

	snprintf(name, sizeof(name), "task/%ld/cgroup", tid);
	return proc_read_file(pid, name, ret, TEXT_BYTES) > 0;
}

/**
 * places_note() - before an update: in which cgroups are a VM's threads?
 * @vm: the VM
 *
 * Return: an object, whose keys are lines of /proc/PID/task/TID/cgroup, a new reference; NULL where memory is short, and where
 * the caller could not move a thread anyway.
 */
json_t *places_note(const struct vm *vm)
{
	char path[64], text[TEXT_BYTES], *save;
	const struct dirent *entry;
	json_t *places;
	DIR *tasks;

	/* In a PID namespace of its own its threads have other numbers. */
	if (geteuid() || vm->id.inner_pid != vm->pid)
		return NULL;
	places = json_object();
	snprintf(path, sizeof(path), "/proc/%d/task", (int)vm->pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks))) {
		if (!read_thread(vm->pid, strtol(entry->d_name, NULL, 10), text))
			continue;
		for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			json_object_set_new(places, line, json_true());
	}
	if (tasks)
		closedir(tasks);
	return places;
}

static bool move(const char *mountinfo, long tid, const char *line)
{
	char path[2 * PATH_MAX], text[32];
	int fd, len = snprintf(text, sizeof(text), "%ld", tid);

	if (!cgroupfs_thread_file(mountinfo, line, path, sizeof(path)))
		return false;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	bool moved = fd >= 0 && write(fd, text, (size_t)len) == len;
	if (fd >= 0)
		close(fd);
	return moved;
}

/* Return: is it in all of its cgroups now? */
static bool place(const char *mountinfo, pid_t pid, const json_t *before, const json_t *one)
{
	long tid = (long)json_integer_value(json_object_get(one, "thread"));
	char now[TEXT_BYTES], wanted[TEXT_BYTES], *save;
	bool all = true;

	if (!read_thread(pid, tid, now))
		return false;
	snprintf(wanted, sizeof(wanted), "%s", jget_text(one, "cgroups"));
	for (char *line = strtok_r(wanted, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!cgroupfs_has_line(now, line, strlen(line)))
			all &= json_object_get(before, line) && move(mountinfo, tid, line);
	return all;
}

static void drop_warning(json_t *warnings, const char *text)
{
	for (size_t i = json_array_size(warnings); i-- > 0;) {
		const char *warning = json_string_value(json_array_get(warnings, i));

		if (warning && !strcmp(warning, text))
			json_array_remove(warnings, i);
	}
}

/* By transfer another process has the guest: one of the same user, or else it is not believed. */
static pid_t process_of(const struct vm *vm, const json_t *result)
{
	json_int_t pid = json_integer_value(json_object_get(result, "pid"));
	struct proc_id id;

	if (pid <= 0 || pid > INT_MAX || pid == vm->pid)
		return vm->pid;
	return proc_identify((pid_t)pid, &id) || id.uid != vm->id.uid ? vm->pid : (pid_t)pid;
}

/**
 * places_restore() - after an update: put threads where their predecessors were
 * @vm:	    the VM as it was
 * @before: what places_note() said, or NULL
 * @result: of the update; what could be done is taken out of its "unplaced" and "warnings"
 */
void places_restore(const struct vm *vm, const json_t *before, json_t *result)
{
	json_t *unplaced = json_object_get(result, "unplaced");
	char *mountinfo = before && unplaced ? malloc(MOUNTS_BYTES) : NULL;

	if (!mountinfo)
		return;
	if (proc_read_file(getpid(), "mountinfo", mountinfo, MOUNTS_BYTES) < 0)
		mountinfo[0] = '\0';
	for (size_t i = json_array_size(unplaced); i-- > 0;) {
		const json_t *one = json_array_get(unplaced, i);

		if (!place(mountinfo, process_of(vm, result), before, one))
			continue;
		drop_warning(json_object_get(result, "warnings"), jget_text(one, "warning"));
		json_array_remove(unplaced, i);
	}
	if (!json_array_size(unplaced))
		json_object_del(result, "unplaced");
	free(mountinfo);
}
