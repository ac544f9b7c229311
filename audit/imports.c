/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* imports.c - what a set of files imports from libc. See imports.h. */
#include "imports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	enum import_kind kind;
	const char *reason;
} known[] = {
#define HOOK(number, symbol) { #symbol, IMPORT_HOOKED, NULL },
#include "../state/hooks.def"
#undef HOOK
#define NOHOOK(symbol, why) { #symbol, IMPORT_NO_HOOK, why },
#include "../state/nohook.def"
#undef NOHOOK
#define UNRELATED(symbol) { #symbol, IMPORT_UNRELATED, NULL },
#include "../state/unrelated.def"
#undef UNRELATED
};

static void classify(struct import *import)
{
	import->kind = IMPORT_UNKNOWN;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(known[i].name, import->name) != 0)
			continue;
		import->kind = known[i].kind;
		import->reason = known[i].reason;
		return;
	}
}

static void add(struct imports *imports, const struct import *import)
{
	if (imports->count == imports->room) {
		size_t room = imports->room ? imports->room * 2 : 1024;
		struct import *items = realloc(imports->items, room * sizeof(*items));

		if (!items) {
			imports->error = -ENOMEM;
			return;
		}
		imports->items = items;
		imports->room = room;
	}
	imports->items[imports->count++] = *import;
}

struct adding {
	struct imports *imports;
	size_t file;
	bool versions;
};

static void add_symbol(const struct elfobject_symbol *symbol, void *arg)
{
	const struct adding *adding = arg;
	struct import import = { .name = symbol->name, .file = adding->file };

	if (symbol->defined || !symbol->exported || (symbol->version && strncmp(symbol->version, "GLIBC_", 6) != 0))
		return;
	classify(&import);
	/* a file without versions has libc's names among those of other libraries */
	if (symbol->version || (!adding->versions && (import.kind == IMPORT_HOOKED || import.kind == IMPORT_NO_HOOK)))
		add(adding->imports, &import);
}

/**
 * imports_add() - note what a file imports from libc
 * @imports: where to
 * @obj:     the file; it must stay open. What one part of glibc asks of another is not bound through a hook's name
 * @file:    a number for it
 */
void imports_add(struct imports *imports, const struct elfobject *obj, size_t file)
{
	struct adding adding = { imports, file, obj->versym != 0 };

	if (!elfobject_is_libc(obj))
		elfobject_each_symbol(obj, add_symbol, &adding);
}

static int compare(const void *a, const void *b)
{
	const struct import *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : x->file < y->file ? -1 : x->file > y->file;
}

/**
 * imports_sort() - put them in order, by name and then by file
 * @imports: the imports
 */
void imports_sort(struct imports *imports)
{
	if (imports->count)
		qsort(imports->items, imports->count, sizeof(imports->items[0]), compare);
}

/**
 * imports_free() - give their memory back
 * @imports: the imports
 */
void imports_free(struct imports *imports)
{
	free(imports->items);
	imports->items = NULL;
	imports->count = 0;
}
