/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* values.c - limits and media of drives; see values.h. */
#include "values.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argv.h"
#include "changes.h"
#include "entities.h"
#include "made.h"
#include "qmp.h"
#include "vm.h"

/**
 * struct drive - one that QEMU has
 * @name:     as in the list of entities
 * @key:      argument that names it in commands: "device" for one of -drive, else "id"
 * @inserted: its medium, or NULL
 * @before:   the list that is known
 */
struct drive {
	const char *name;
	const char *key;
	const json_t *inserted;
	const char *before;
};

static void set(const char *kind, const char *name, const char *execute, json_t *arguments)
{
	json_t *command = json_pack("{s:s, s:o}", "execute", execute, "arguments", arguments);
	char *text = command ? json_dumps(command, JSON_COMPACT) : NULL;

	changes_set_value(kind, name, text);
	free(text);
	json_decref(command);
}

static bool is_limit(const char *key)
{
	return !strncmp(key, "bps", 3) || !strncmp(key, "iops", 4);
}

/* Limits of zero are set too: the command line may have others. */
static void check_limits(const struct drive *d)
{
	static const char *const required[] = { "bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr" };
	char *line = entities_limits(d->inserted);
	bool none = !*line, same = entities_has_line(d->before, "I/O limits of drive", d->name, line);
	bool known = changes_has_value(VALUES_LIMITS, d->name);
	const char *key;
	json_t *value;

	if (d->inserted && (none ? entities_has(d->before, "I/O limits of drive", d->name) || known : !same || known)) {
		json_t *arguments = json_pack("{s:s}", d->key, d->name);

		for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
			json_object_set_new(arguments, required[i], json_integer(0));
		json_object_foreach((json_t *)d->inserted, key, value)
			if ((is_limit(key) && json_integer_value(value)) || (!none && !strcmp(key, "group")))
				json_object_set(arguments, key, value);
		set(VALUES_LIMITS, d->name, "block_set_io_throttle", arguments);
	}
	free(line);
}

/* The block node that its device was made with: on the command line or at run time. */
static bool first_node(const char *device, char *ret, size_t size)
{
	return changes_get(device, "drive", ret, size) || made_get(vm.argv, "device", device, "drive", ret, size);
}

static void check_tray(const struct drive *d, const json_t *item)
{
	const char *name =
		json_is_true(json_object_get(item, "tray_open")) ? "blockdev-open-tray" : "blockdev-close-tray";
	json_t *arguments = json_pack("{s:s}", d->key, d->name);

	if (!json_object_get(item, "tray_open")) {
		json_decref(arguments);
		return;
	}
	if (!strcmp(name, "blockdev-open-tray"))
		json_object_set_new(arguments, "force", json_true());
	set(VALUES_TRAY, d->name, name, arguments);
}

static void check_device_medium(const struct drive *d, const json_t *item)
{
	const char *node = json_string_value(json_object_get(d->inserted, "node-name"));
	char first[256] = "";

	first_node(d->name, first, sizeof(first));
	if (!strcmp(node ? node : "", first) && !changes_has_value(VALUES_DEVICE_MEDIUM, d->name))
		return;
	if (json_object_get(item, "tray_open"))
		set(VALUES_OPENING, d->name, "blockdev-open-tray", json_pack("{s:s, s:b}", "id", d->name, "force", 1));
	if (node)
		set(VALUES_DEVICE_MEDIUM, d->name, "blockdev-insert-medium",
		    json_pack("{s:s, s:s}", "id", d->name, "node-name", node));
	else
		changes_set_value(VALUES_DEVICE_MEDIUM, d->name, ""); /* it begins empty */
	check_tray(d, item);
}

static void check_drive_medium(const struct drive *d, const json_t *item, struct reasons *reasons)
{
	const char *file = json_string_value(json_object_get(d->inserted, "file"));
	const char *format = json_string_value(json_object_get(d->inserted, "drv"));

	if (entities_has_line(d->before, "drive", d->name, file ? file : "empty") &&
	    !changes_has_value(VALUES_DRIVE_MEDIUM, d->name))
		return;
	/* One that was added is as its command says, or nobody knows. */
	if (changes_added_drive(d->name, file) || !entities_has(d->before, "drive", d->name))
		return;
	if (!made_has(vm.argv, "drive", d->name) && !made_is_cdrom(vm.argv, d->name)) {
		reasons_add(reasons, BLOCKER_MEDIUM_CHANGED,
			    "the medium of drive %s was changed, which cannot be handed over", d->name);
		return;
	}
	if (file && (!strncmp(file, "json:", 5) || !format)) {
		reasons_add(reasons, BLOCKER_MEDIUM_CHANGED,
			    "the medium of drive %s was changed to one that is not named by a file alone", d->name);
		return;
	}
	if (file)
		set(VALUES_DRIVE_MEDIUM, d->name, "blockdev-change-medium",
		    json_pack("{s:s, s:s, s:s, s:s, s:b}", d->key, d->name, "filename", file, "format", format,
			      "read-only-mode",
			      json_is_true(json_object_get(d->inserted, "ro")) ? "read-only" : "read-write", "force",
			      1));
	else
		changes_set_value(VALUES_DRIVE_MEDIUM, d->name, "");
	check_tray(d, item);
}

/**
 * values_check() - remember what was set, for a successor
 * @before:	 list of entities that the command line and the changes so far account for
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what cannot be set again
 */
void values_check(const char *before, uint64_t deadline_ns, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];
	json_t *list = qmp_command(&qmp_private, "query-block", NULL, deadline_ns, error);
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *device = json_string_value(json_object_get(item, "device"));
		const char *qdev = json_string_value(json_object_get(item, "qdev"));
		bool legacy = device && *device;
		struct drive d = {
			.name = legacy ? device : qdev,
			.key = legacy ? "device" : "id",
			.inserted = json_object_get(item, "inserted"),
			.before = before,
		};

		if (!d.name)
			continue;
		check_limits(&d);
		if (!json_is_true(json_object_get(item, "removable")))
			continue;
		if (legacy)
			check_drive_medium(&d, item, reasons);
		else if (d.name[0] != '/')
			check_device_medium(&d, item);
	}
	json_decref(list);
}
