/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* objects.h - the files that make up a program: found without running it, or those that a process has mapped. */
#ifndef CPRSHIM_AUDIT_OBJECTS_H
#define CPRSHIM_AUDIT_OBJECTS_H

#include <sys/types.h>

#include "elfobject.h"

enum object_role {
	OBJECT_PROGRAM,
	OBJECT_LIBRARY,
	OBJECT_LOADER,
	OBJECT_MODULE, /* one of QEMU's, loaded where it is needed */
	OBJECT_SHIM,   /* our own library */
};

/**
 * struct object - a file
 * @path:	its path; in a process, the one that it was mapped by
 * @name:	the name by which it was asked for, NULL for the program and its modules
 * @role:	what it is there for
 * @elf:	the file, open if @why is NULL
 * @why:	why it could not be opened
 */
struct object {
	char *path, *name;
	enum object_role role;
	struct elfobject elf;
	const char *why;
};

/* A library that is asked for and is nowhere. */
struct object_missing {
	char *name;
	size_t by;
};

/**
 * struct objects - all of them, for objects_free()
 * @items:		the program first
 * @library_path:	where libraries are looked for first, or NULL
 * @count:		how many
 * @missing:		libraries that were not found
 * @missing_count:	how many
 * @generated:		stretches of code in a process that come from no file
 */
struct objects {
	struct object *items;
	size_t count;
	const char *library_path;
	struct object_missing *missing;
	size_t missing_count, generated;
};

int objects_of_file(const char *path, const char *library_path, bool modules, struct objects *ret);
int objects_of_process(pid_t pid, struct objects *ret);
int objects_add(struct objects *objects, const char *path, const char *open_path, const char *name,
		enum object_role role);
void objects_find_loader(struct objects *objects);
void objects_free(struct objects *objects);
const char *objects_role_text(enum object_role role);

#endif
