/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * outdated.c - does a VM run other files than those that are on disk by now?
 *
 * A package upgrade puts a new file under the old one's name, or another name in its place; the kernel then calls the old one
 * deleted. A file with the same build id is the same program, also where it was installed anew.
 *
 * The VM's libcprshim.so does not count: a successor gets the very one by its descriptor (loader/library.h), so no update
 * would bring another.
 */
#include "outdated.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elfread.h"
#include "jget.h"

#define OWN_LIBRARY "libcprshim.so"
/* A VMM chooses its mappings: so many lines are read, and so many files told. The kernel's limit is 65530 mappings. */
#define LINES_MAX 70000
#define FILES_MAX 256

/**
 * outdated_cut() - take the kernel's word that a file is gone off its path
 * @path: as /proc/PID/exe or /proc/PID/maps have it
 *
 * Return: was it there?
 */
bool outdated_cut(char *path)
{
	size_t len = strlen(path), end = strlen(OUTDATED_DELETED);

	if (len < end || strcmp(path + len - end, OUTDATED_DELETED) != 0)
		return false;
	path[len - end] = '\0';
	return true;
}

/* Paths are those of the VM's mount namespace. */
static void in_namespace(const struct vm *vm, const char *path, char ret[PATH_MAX])
{
	struct stat ours, theirs;
	char link[64];

	snprintf(link, sizeof(link), "/proc/%d/ns/mnt", vm->pid);
	if (stat("/proc/self/ns/mnt", &ours) || stat(link, &theirs) || ours.st_ino == theirs.st_ino)
		snprintf(ret, PATH_MAX, "%s", path);
	else
		snprintf(ret, PATH_MAX, "/proc/%d/root%s", vm->pid, path);
}

/* Return: its build id as JSON, null where it is not known. */
static json_t *build_id_of(const char *path)
{
	char hex[2 * ELFREAD_ID + 1];
	int fd = elfread_open(path), err = fd < 0 ? fd : elfread_build_id(fd, hex);

	if (fd >= 0)
		close(fd);
	return err ? json_null() : json_string(hex);
}

static bool is_same_build(const json_t *a, const json_t *b)
{
	return json_is_string(a) && json_equal(a, b);
}

/**
 * outdated_program() - the QEMU that an update would bring
 * @vm:	      the VM
 * @path:     the QEMU, in the VM's mount namespace; the VM may have named it
 * @ret_same: is it the build that runs?
 *
 * Return: an object of path, version, package and build_id, all but the first null where they are not known; NULL where
 * memory is short.
 */
json_t *outdated_program(const struct vm *vm, const char *path, bool *ret_same)
{
	struct elfread_version v;
	char there[PATH_MAX], link[64];
	json_t *running, *found, *result;
	int fd, err;

	in_namespace(vm, path, there);
	fd = elfread_open(there);
	err = fd < 0 ? fd : elfread_version(fd, &v);
	if (fd >= 0)
		close(fd);
	snprintf(link, sizeof(link), "/proc/%d/exe", vm->pid);
	running = build_id_of(link);
	found = build_id_of(there);
	*ret_same = is_same_build(running, found);
	json_decref(running);
	result = json_pack("{s:o, s:o, s:o, s:o}", "binary", jget_new_text(path), "version",
			   jget_new_text(err ? NULL : v.version), "package", jget_new_text(err ? NULL : v.package),
			   "build_id", found);
	return result;
}

/*
 * The file that stands in a library's place: its own name, or else the name without the last parts of its version, which
 * leads to the next one (libx.so.0.1 is gone, and libx.so.0 leads to libx.so.0.2). Return: is there one?
 */
static bool find_next(const struct vm *vm, const char *path, char ret_next[PATH_MAX])
{
	char there[PATH_MAX], link[PATH_MAX], *end;

	snprintf(ret_next, PATH_MAX, "%s", path);
	for (;;) {
		in_namespace(vm, ret_next, there);
		if (!access(there, F_OK))
			break;
		end = strrchr(ret_next, '.');
		if (!end || strchr(end, '/') || !strcmp(end, ".so"))
			return false;
		*end = '\0';
	}
	ssize_t n = readlink(there, link, sizeof(link) - 1);
	if (n <= 0 || memchr(link, '/', (size_t)n))
		return true;
	link[n] = '\0';
	end = strrchr(ret_next, '/') + 1;
	snprintf(end, PATH_MAX - (size_t)(end - ret_next), "%s", link);
	return true;
}

/* A file that is gone from its path. Return: what there is to say of it; null where what is there now is the same. */
static json_t *describe(const struct vm *vm, const char *range, const char *path)
{
	char old[128], next[PATH_MAX], there[PATH_MAX];
	bool found = find_next(vm, path, next);
	json_t *was, *is;

	snprintf(old, sizeof(old), "/proc/%d/map_files/%s", vm->pid, range);
	was = build_id_of(old);
	in_namespace(vm, next, there);
	is = found ? build_id_of(there) : json_null();
	if (is_same_build(was, is)) {
		json_decref(was);
		json_decref(is);
		return json_null();
	}
	return json_pack("{s:o, s:o, s:o, s:o}", "path", jget_new_text(path), "now", jget_new_text(found ? next : NULL),
			 "build_id", was, "build_id_now", is);
}

static bool is_library(const char *path)
{
	const char *name = strrchr(path, '/');

	return strncmp(path, "/memfd:", 7) != 0 && strstr(name, ".so") && strcmp(name + 1, OWN_LIBRARY) != 0;
}

/* One line of /proc/PID/maps (proc(5)). Return: 0, or -ENOMEM. */
static int take_line(const struct vm *vm, char *line, const char *program, json_t *files)
{
	char range[64], rights[8], *path = strchr(line, '/');
	json_t *file;

	line[strcspn(line, "\n")] = '\0';
	if (!path || sscanf(line, "%63s %7s", range, rights) != 2 || !strchr(rights, 'x') || !outdated_cut(path) ||
	    !(is_library(path) || !strcmp(path, program)) || json_array_size(files) >= FILES_MAX)
		return 0;
	file = describe(vm, range, path);
	if (json_is_null(file))
		return 0;
	return json_array_append_new(files, file) ? -ENOMEM : 0;
}

/**
 * outdated_files() - the libraries that a VM has loaded and that are not on disk any more
 * @vm:	     the VM
 * @program: its QEMU, where that was loaded by a dynamic loader that was called by its name; else ""
 *
 * The build ids of what runs can be read by root alone; without them each file that was replaced counts.
 *
 * Return: a list of objects of path, now (what stands in its place, or null), build_id and build_id_now; NULL where memory is
 * short.
 */
json_t *outdated_files(const struct vm *vm, const char *program)
{
	json_t *files = json_array();
	char path[64], *line = NULL;
	size_t size = 0;
	int err = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/maps", vm->pid);
	in = fopen(path, "re");
	for (int i = 0; in && !err && i < LINES_MAX && getline(&line, &size, in) > 0; i++)
		err = take_line(vm, line, program, files);
	if (in)
		fclose(in);
	free(line);
	if (!err)
		return files;
	json_decref(files);
	return NULL;
}
