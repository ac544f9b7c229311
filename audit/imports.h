/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * imports.h - what a set of files imports from libc, and whether somebody has thought about it.
 *
 * The lists are state/hooks.def, state/nohook.def and state/unrelated.def, and nothing else.
 */
#ifndef CPRSHIM_AUDIT_IMPORTS_H
#define CPRSHIM_AUDIT_IMPORTS_H

#include "elfobject.h"

enum import_kind {
	IMPORT_HOOKED,
	IMPORT_NO_HOOK,	  /* touches descriptors or the like; the reason why it needs no hook is written down */
	IMPORT_UNRELATED, /* has nothing to do with them */
	IMPORT_UNKNOWN,	  /* stands in no list */
};

/**
 * struct import - a name that a file imports
 * @name:	the name; the file's
 * @file:	which file, as imports_add() was told
 * @kind:	enum import_kind
 * @reason:	with IMPORT_NO_HOOK
 */
struct import {
	const char *name;
	size_t file;
	enum import_kind kind;
	const char *reason;
};

/**
 * struct imports - those of all files, for imports_free()
 * @items:	by name once imports_sort() has run
 * @count:	how many
 * @room:	how many there is memory for
 * @error:	0, or the negative errno of the first that could not be added
 */
struct imports {
	struct import *items;
	size_t count, room;
	int error;
};

void imports_add(struct imports *imports, const struct elfobject *obj, size_t file);
void imports_sort(struct imports *imports);
void imports_free(struct imports *imports);

#endif
