/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* objects.c - the files that make up a program, found without running it; those of a process are in process.c. */
#include "objects.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libpath.h"

static char *copied(const char *text)
{
	return text ? strdup(text) : NULL;
}

/**
 * objects_add() - one more file
 * @objects:   where to
 * @path:      its path
 * @open_path: the path by which it can be opened, NULL for @path
 * @name:      the name by which it was asked for, or NULL
 * @role:      what it is there for
 *
 * A file that cannot be opened is added with its reason.
 *
 * Return: 0 or -ENOMEM.
 */
int objects_add(struct objects *objects, const char *path, const char *open_path, const char *name,
		enum object_role role)
{
	struct object *items = realloc(objects->items, (objects->count + 1) * sizeof(*items));
	struct object object = { .path = strdup(path), .name = copied(name), .role = role };
	const char *why = NULL;

	if (items)
		objects->items = items;
	if (!items || !object.path || (name && !object.name)) {
		free(object.path);
		free(object.name);
		return -ENOMEM;
	}
	if (elfobject_open(open_path ? open_path : path, &object.elf, &why))
		object.why = why;
	objects->items[objects->count++] = object;
	return 0;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- libraries */

struct wanting {
	struct objects *objects;
	const char *name;
	size_t by;
	int err;
};

static bool is_there(const struct objects *objects, const char *name)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *object = &objects->items[i];
		const char *soname = object->why ? NULL : elfobject_dynamic_text(&object->elf, DT_SONAME);

		if ((object->name && !strcmp(object->name, name)) || (soname && !strcmp(soname, name)))
			return true;
	}
	for (size_t i = 0; i < objects->missing_count; i++) {
		if (!strcmp(objects->missing[i].name, name))
			return true;
	}
	return false;
}

static int add_missing(struct objects *objects, const char *name, size_t by)
{
	struct object_missing *missing =
		realloc(objects->missing, (objects->missing_count + 1) * sizeof(*objects->missing));

	if (!missing)
		return -ENOMEM;
	objects->missing = missing;
	missing[objects->missing_count].name = strdup(name);
	missing[objects->missing_count].by = by;
	return missing[objects->missing_count++].name ? 0 : -ENOMEM;
}

/* The loader goes on past files for other processors. */
static int take_if_it_fits(const char *path, void *arg)
{
	const struct wanting *wanting = arg;
	struct objects *objects = wanting->objects;
	const char *why;
	struct elfobject elf;
	bool fits;

	if (elfobject_open(path, &elf, &why))
		return 0;
	fits = elf.machine == objects->items[0].elf.machine;
	elfobject_close(&elf);
	if (!fits)
		return 0;
	return objects_add(objects, path, NULL, wanting->name, OBJECT_LIBRARY) ? -ENOMEM : 1;
}

static void want(const char *name, void *arg)
{
	struct wanting *wanting = arg;
	struct objects *objects = wanting->objects;
	/* what is added moves the list */
	struct object by = objects->items[wanting->by], program = objects->items[0];
	struct libpath asking;
	int found;

	if (wanting->err || is_there(objects, name))
		return;
	wanting->name = name;
	asking.name = name;
	asking.library_path = objects->library_path;
	asking.obj = &by.elf;
	asking.path = by.path;
	asking.program = &program.elf;
	asking.program_path = program.path;
	found = libpath_each(&asking, take_if_it_fits, wanting);
	if (found < 0)
		wanting->err = found;
	else if (!found)
		wanting->err = add_missing(objects, name, wanting->by);
}

static int add_needed(struct objects *objects)
{
	int err = 0;

	for (size_t i = 0; !err && i < objects->count; i++) {
		struct wanting wanting = { .objects = objects, .by = i };
		struct object object = objects->items[i];

		if (!object.why)
			elfobject_each_needed(&object.elf, want, &wanting);
		err = wanting.err;
	}
	return err;
}

static int add_interpreter(struct objects *objects)
{
	const char *path = elfobject_interpreter(&objects->items[0].elf);

	if (!path || elfobject_is_libc(&objects->items[0].elf))
		return 0;
	return objects_add(objects, path, NULL, last_part(path), OBJECT_LOADER);
}

/* --- modules: util/module.c:module_load_file(), PREFIX/lib/TRIPLET/qemu and its like */

static int is_library_name(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && !strcmp(dot, ".so");
}

static int add_folder(struct objects *objects, const char *folder)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_library_name, alphasort), err = 0;

	for (int i = 0; i < count; i++) {
		char path[PATH_MAX];

		if (!err && snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name) < (int)sizeof(path))
			err = objects_add(objects, path, NULL, NULL, OBJECT_MODULE);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return err;
}

static int add_modules(struct objects *objects, const char *program)
{
	const char *const under[] = { libpath_multiarch(&objects->items[0].elf), "lib64", "lib" };
	char real[PATH_MAX], folder[PATH_MAX];
	int err = 0;

	if (!realpath(program, real))
		return -errno;
	/* PREFIX/bin/NAME */
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(real, '/');

		if (!slash)
			return 0;
		*slash = '\0';
	}
	for (size_t i = 0, before = objects->count; !err && i < 3 && objects->count == before; i++) {
		if (snprintf(folder, sizeof(folder), "%s/%s/qemu", real, under[i]) < (int)sizeof(folder))
			err = add_folder(objects, folder);
	}
	return err;
}

/**
 * objects_of_file() - a file and all that would be loaded with it
 * @path:         the file
 * @library_path: folders in which libraries are looked for first, or NULL
 * @modules:      QEMU's modules and their libraries as well
 * @ret:          the files, for objects_free(); the first is the file itself
 *
 * Return: 0 or negative errno. Where the file itself cannot be read, it is there alone, with the reason.
 */
int objects_of_file(const char *path, const char *library_path, bool modules, struct objects *ret)
{
	struct objects objects = { .library_path = library_path };
	int err = objects_add(&objects, path, NULL, NULL, OBJECT_PROGRAM);

	if (!err && !objects.items[0].why) {
		if (!elfobject_interpreter(&objects.items[0].elf) || elfobject_is_libc(&objects.items[0].elf))
			objects.items[0].role = OBJECT_LIBRARY;
		err = add_interpreter(&objects);
		if (!err && modules)
			err = add_modules(&objects, path);
		if (!err)
			err = add_needed(&objects);
		objects_find_loader(&objects);
	}
	if (err)
		objects_free(&objects);
	else
		*ret = objects;
	return err;
}

/**
 * objects_find_loader() - tell the dynamic loader from the libraries, by what programs ask for
 * @objects: the files
 */
void objects_find_loader(struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++) {
		const struct object *program = &objects->items[i];
		const char *path = program->why ? NULL : elfobject_interpreter(&program->elf);

		for (size_t n = 0; path && n < objects->count; n++) {
			struct object *object = &objects->items[n];
			const char *soname = object->why ? NULL : elfobject_dynamic_text(&object->elf, DT_SONAME);

			if (soname && !strcmp(soname, last_part(path)))
				object->role = OBJECT_LOADER;
		}
	}
}

/**
 * objects_free() - give them back
 * @objects: the files
 */
void objects_free(struct objects *objects)
{
	for (size_t i = 0; i < objects->count; i++) {
		elfobject_close(&objects->items[i].elf);
		free(objects->items[i].path);
		free(objects->items[i].name);
	}
	for (size_t i = 0; i < objects->missing_count; i++)
		free(objects->missing[i].name);
	free(objects->items);
	free(objects->missing);
	*objects = (struct objects){ 0 };
}

/**
 * objects_role_text() - what a file is there for, in a word
 * @role: the role
 */
const char *objects_role_text(enum object_role role)
{
	static const char *const texts[] = { "program", "library", "loader", "module", "shim" };

	return texts[role];
}
