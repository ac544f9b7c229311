/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* made.c - what the options of a command line make; see made.h. */
#include "made.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "argv.h"
#include "optvalue.h"
#include "values.h"

/* What options make that can be taken out while the VM runs: kinds are those of the list of entities. */
static const struct {
	const char *option;
	const char *kind;
	const char *key;
} makers[] = {
	{ "device", "device", "id" },
	{ "netdev", "network", "id" },
	{ "object", "object", "id" },
	{ "chardev", "character device", "id" },
	{ "blockdev", "block node", "node-name" },
	{ "drive", "drive", "id" },
};

#define MAKERS (sizeof(makers) / sizeof(makers[0]))

/* What the option makes; NULL where that has no name. */
static const char *made_by(const char *option, const char *value, char *ret_id, size_t size)
{
	for (size_t i = 0; value && i < MAKERS; i++)
		if (argv_is_option(option, makers[i].option))
			return optvalue_get(value, makers[i].key, ret_id, size) ? makers[i].kind : NULL;
	return NULL;
}

/**
 * made_has() - does an option of the command line make this?
 * @argv: the user's
 * @kind: "device", "network", "object", "character device", "block node" or "drive"
 * @id:	  its name
 */
bool made_has(char *const argv[], const char *kind, const char *id)
{
	char made[256];

	for (size_t i = 1; argv[0] && argv[i] && argv[i + 1]; i++) {
		const char *known = made_by(argv[i], argv[i + 1], made, sizeof(made));

		if (known && !strcmp(known, kind) && !strcmp(made, id))
			return true;
	}
	return false;
}

static bool names_part(const json_t *options, const char *node)
{
	const char *name = json_string_value(json_object_get(options, "node-name"));
	const json_t *value;
	const char *key;

	if (name && !strcmp(name, node))
		return true;
	json_object_foreach((json_t *)options, key, value)
		if (json_is_object(value) && names_part(value, node))
			return true;
	return false;
}

/** made_has_part() - does a -blockdev make a node of this name inside its own? */
bool made_has_part(char *const argv[], const char *node)
{
	bool found = false;

	for (size_t n = 0; !found && argv_value(argv, "blockdev", n); n++) {
		json_t *options = json_loads(argv_value(argv, "blockdev", n), 0, NULL);

		found = names_part(options, node);
		json_decref(options);
	}
	return found;
}

/* Options that name another one's device, object or back end by its id. */
static const struct {
	const char *key;
	const char *kind;
} users[] = {
	{ "netdev", "network" },  { "drive", "drive" },	    { "drive", "block node" },
	{ "file", "block node" }, { "memdev", "object" },   { "chardev", "character device" },
	{ "bus", "device" },	  { "iothread", "object" }, { "backing", "block node" },
};

/**
 * made_dangling() - what is left of the command line that needs what is left out of it?
 * @argv:	the user's
 * @is_removed: is it left out?
 * @from:	1, then what the last call returned
 * @ret_option: an option, without its dash
 * @ret_kind, @ret_id: what it names
 * @size:	of @ret_id
 *
 * Return: where to go on, or 0 where there is none.
 */
size_t made_dangling(char *const argv[], bool (*is_removed)(const char *kind, const char *id), size_t from,
		     const char **ret_option, const char **ret_kind, char *ret_id, size_t size)
{
	char made[256];

	for (size_t i = from; argv[0] && argv[i] && argv[i + 1]; i++) {
		const char *kind = made_by(argv[i], argv[i + 1], made, sizeof(made));

		if (argv[i][0] != '-' || (kind && is_removed(kind, made)))
			continue;
		for (size_t u = 0; u < sizeof(users) / sizeof(users[0]); u++) {
			if (!optvalue_get(argv[i + 1], users[u].key, ret_id, size) ||
			    !is_removed(users[u].kind, ret_id))
				continue;
			*ret_option = argv[i] + (argv[i][1] == '-' ? 2 : 1);
			*ret_kind = users[u].kind;
			return i + 1;
		}
	}
	return 0;
}

/**
 * made_get() - what an option says about a key
 * @argv:   the user's
 * @option: "device", "drive" ..., without its dash
 * @id:	    name of what the option makes
 * @key:    the key
 * @ret:    the value, cut to @size
 */
bool made_get(char *const argv[], const char *option, const char *id, const char *key, char *ret, size_t size)
{
	char made[256];

	for (size_t n = 0; argv_value(argv, option, n); n++)
		if (optvalue_get(argv_value(argv, option, n), "id", made, sizeof(made)) && !strcmp(made, id))
			return optvalue_get(argv_value(argv, option, n), key, ret, size);
	return false;
}

/** made_is_cdrom() - is this the drive that -cdrom makes: number 2 on IDE (softmmu/vl.c), two to a bus, or one on AHCI */
bool made_is_cdrom(char *const argv[], const char *drive)
{
	return argv_has(argv, "cdrom") && (!strcmp(drive, "ide1-cd0") || !strcmp(drive, "ide2-cd0"));
}

static char *without_key(const char *value, const char *key)
{
	const char *const keys[] = { key, NULL };

	if (value[0] != '{')
		return optvalue_without(value, keys);
	json_t *object = json_loads(value, 0, NULL);
	json_object_del(object, key);
	char *out = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return out;
}

/*
 * A drive whose medium was changed begins empty: the first one may be gone. An empty one takes no options that are about
 * its medium (blockdev.c:blockdev_init).
 */
static char *without_medium(const char *option, const char *value, bool (*has_value)(const char *kind, const char *id))
{
	static const char *const about_medium[] = { "file",	    "format",	      "driver",		 "cache",
						    "cache.direct", "cache.no-flush", "cache.writeback", "aio",
						    "snapshot",	    "readonly",	      "read-only",	 "discard",
						    "locking",	    "file.locking",   "detect-zeroes",	 "copy-on-read",
						    "file.driver",  "auto-read-only", "file.filename",	 NULL };
	char made[256];

	if (argv_is_option(option, "drive") && optvalue_get(value, "id", made, sizeof(made)) &&
	    has_value(VALUES_DRIVE_MEDIUM, made))
		return optvalue_without(value, about_medium);
	if (argv_is_option(option, "device") && optvalue_get(value, "id", made, sizeof(made)) &&
	    has_value(VALUES_DEVICE_MEDIUM, made))
		return without_key(value, "drive");
	return (char *)value;
}

/**
 * made_without() - a copy without what was taken out while the VM ran
 * @argv:	the user's
 * @is_removed: was this taken out? Kinds are those of made_has()
 * @has_value:	was this set anew? Kinds are those of values.h
 *
 * Return: to be freed, but for what it points to, or NULL.
 */
char **made_without(char *const argv[], bool (*is_removed)(const char *kind, const char *id),
		    bool (*has_value)(const char *kind, const char *id))
{
	size_t n = 0, out_n = 0;
	char made[256];

	while (argv[n])
		n++;
	char **out = calloc(n + 1, sizeof(*out));
	for (size_t i = 0; out && i < n; i++) {
		const char *kind = i ? made_by(argv[i], argv[i + 1], made, sizeof(made)) : NULL;

		if (kind && is_removed(kind, made)) {
			i++;
		} else if (i && argv[i + 1] && argv_is_option(argv[i], "cdrom") &&
			   (has_value(VALUES_DRIVE_MEDIUM, "ide1-cd0") || has_value(VALUES_DRIVE_MEDIUM, "ide2-cd0"))) {
			out[out_n++] = (char *)"-drive";
			out[out_n++] = (char *)"index=2,media=cdrom"; /* as -cdrom has it */
			i++;
		} else {
			out[out_n++] = argv[i];
			if (kind && argv[i + 1])
				out[out_n++] = without_medium(argv[i], argv[i + 1], has_value);
			i += kind != NULL;
		}
	}
	return out;
}
