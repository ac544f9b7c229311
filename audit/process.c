/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process.c - the files that a process runs code from: objects_of_process().
 *
 * Read from the kernel's list of its mappings. What the process itself can write (names of files) is only used to open
 * files, which are compared with what the kernel says is mapped.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "objects.h"

#define SHIM "libcprshim.so"

/**
 * struct mapping - a line of /proc/PID/maps
 * @start:	first address, as the kernel writes it
 * @end:	the address behind it
 * @inode:	of the file, 0 for memory without one
 * @path:	of the file, or a name in brackets
 */
struct mapping {
	unsigned long start, end;
	unsigned long inode;
	char path[PATH_MAX];
};

/* Return: true for a line about code. */
static bool parse(const char *line, struct mapping *ret)
{
	char rights[5];
	int at = 0;

	if (sscanf(line, "%lx-%lx %4s %*x %*x:%*x %lu %n", &ret->start, &ret->end, rights, &ret->inode, &at) < 4 ||
	    !at || rights[2] != 'x')
		return false;
	snprintf(ret->path, sizeof(ret->path), "%s", line + at);
	ret->path[strcspn(ret->path, "\n")] = '\0';
	return true;
}

/*
 * The mapped file itself, which may be gone from its path; the kernel lets only the privileged have it. Else the path, as the
 * process sees it, if the file there has the same inode; the device is not asked, which btrfs and overlayfs tell in two ways.
 */
static bool find_file(pid_t pid, const struct mapping *mapping, char ret_path[PATH_MAX])
{
	struct stat st;

	snprintf(ret_path, PATH_MAX, "/proc/%d/map_files/%lx-%lx", pid, mapping->start, mapping->end);
	if (!stat(ret_path, &st))
		return true;
	return snprintf(ret_path, PATH_MAX, "/proc/%d/root%s", pid, mapping->path) < PATH_MAX && !stat(ret_path, &st) &&
	       st.st_ino == mapping->inode;
}

static bool is_listed(const struct objects *objects, const char *path)
{
	for (size_t i = 0; i < objects->count; i++) {
		if (!strcmp(objects->items[i].path, path))
			return true;
	}
	return false;
}

static enum object_role role_of(const struct object *object)
{
	const char *soname = elfobject_dynamic_text(&object->elf, DT_SONAME);

	if (soname && !strcmp(soname, SHIM))
		return OBJECT_SHIM;
	return elfobject_interpreter(&object->elf) && !elfobject_is_libc(&object->elf) ? OBJECT_PROGRAM
										       : OBJECT_LIBRARY;
}

static int add(struct objects *objects, pid_t pid, const struct mapping *mapping)
{
	char path[PATH_MAX];
	struct object *object;
	int err;

	if (mapping->inode == 0) {
		/* the kernel's own code: [vdso], [vsyscall] */
		objects->generated += mapping->path[0] != '[';
		return 0;
	}
	if (is_listed(objects, mapping->path))
		return 0;
	if (!find_file(pid, mapping, path))
		path[0] = '\0';
	err = objects_add(objects, mapping->path, path, NULL, OBJECT_LIBRARY);
	if (err)
		return err;
	object = &objects->items[objects->count - 1];
	if (!path[0])
		object->why = "it is another file by now, or gone";
	else if (!object->why)
		object->role = role_of(object);
	return 0;
}

/**
 * objects_of_process() - the files that a process runs code from
 * @pid: the process
 * @ret: the files, for objects_free()
 *
 * Return: 0 or negative errno.
 */
int objects_of_process(pid_t pid, struct objects *ret)
{
	struct objects objects = { 0 };
	struct mapping mapping;
	char *line = NULL;
	size_t size = 0;
	char path[64];
	int err = 0;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return -errno;
	errno = 0;
	while (!err && getline(&line, &size, maps) >= 0) {
		if (parse(line, &mapping))
			err = add(&objects, pid, &mapping);
	}
	/* the kernel says only at the first read whether it lets us look */
	if (!err && ferror(maps))
		err = errno ? -errno : -EIO;
	free(line);
	fclose(maps);
	if (err) {
		objects_free(&objects);
		return err;
	}
	objects_find_loader(&objects);
	*ret = objects;
	return 0;
}
