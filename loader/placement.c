/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* placement.c - commands that add something, made exact; see placement.h. */
#include "placement.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optvalue.h"
#include "qmp.h"
#include "values.h"

#define LINE "command-line"

/* Options of a line of the human monitor's, which are its last word; NULL for a command of QMP's own. */
static const char *line_options(const json_t *arguments)
{
	const char *line = json_string_value(json_object_get(arguments, LINE));
	const char *space = line ? strrchr(line, ' ') : NULL;

	return space ? space + 1 : line;
}

static bool says(const json_t *arguments, const char *key)
{
	const char *options = line_options(arguments);
	char value[16];

	return options ? optvalue_get(options, key, value, sizeof(value)) : json_object_get(arguments, key) != NULL;
}

/* Adds one argument; the reference is taken. */
static void say(json_t *arguments, const char *key, json_t *value)
{
	const char *line = json_string_value(json_object_get(arguments, LINE));
	char *number = json_is_integer(value) ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
	const char *text = number ? number : json_string_value(value);
	char *longer = NULL;

	if (!line) {
		json_object_set(arguments, key, value);
	} else if (text && asprintf(&longer, "%s,%s=%s", line, key, text) >= 0) {
		json_object_set_new(arguments, LINE, json_string(longer));
		free(longer);
	}
	free(number);
	json_decref(value);
}

/**
 * placement_options() - the arguments of a command, as an option of the command line has them
 * @command: of a change
 *
 * Return: to be freed, or NULL.
 */
char *placement_options(const char *command)
{
	json_t *json = json_loads(command, 0, NULL), *arguments = json_object_get(json, "arguments");
	const json_t *backend = json_object_get(arguments, "backend");
	const char *options = line_options(arguments);
	char *text;

	/* A character device's lie two levels down: {"id", "backend": {"type", "data"}}. */
	if (json_is_object(backend)) {
		json_t *flat = json_object();

		json_object_update(flat, json_object_get(backend, "data"));
		json_object_set(flat, "backend", json_object_get(backend, "type"));
		text = json_dumps(flat, JSON_COMPACT);
		json_decref(flat);
	} else {
		text = options ? strdup(options) : json_dumps(arguments, JSON_COMPACT);
	}
	json_decref(json);
	return text;
}

static json_t *get(const char *path, const char *property, uint64_t deadline)
{
	char error[QMP_ERROR_MAX];

	return qmp_command(&qmp_private, "qom-get", json_pack("{s:s, s:s}", "path", path, "property", property),
			   deadline, error);
}

static bool has_property(const json_t *properties, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(properties, i, item) {
		const char *known = json_string_value(json_object_get(item, "name"));

		if (known && !strcmp(known, name))
			return true;
	}
	return false;
}

static void pin_property(json_t *arguments, const char *path, const char *key, const char *property, uint64_t deadline)
{
	json_t *value = get(path, property, deadline);
	const char *text = json_string_value(value);

	/* -1, or no text: it has none. */
	if (text ? *text != '\0' : json_is_integer(value) && json_integer_value(value) >= 0)
		say(arguments, key, json_incref(value));
	json_decref(value);
}

/* A bus is named by the last part of its path (hw/core/bus.c:qbus_init_internal). */
static void pin_bus(json_t *arguments, const char *path, uint64_t deadline)
{
	json_t *bus = get(path, "parent_bus", deadline);
	const char *text = json_string_value(bus), *name = text ? strrchr(text, '/') : NULL;

	if (name && name[1])
		say(arguments, "bus", json_string(name + 1));
	json_decref(bus);
}

/* "  Device 0.1, Port 2, Speed 480 Mb/s, Product QEMU USB Tablet, ID: tablet": the only place that tells. */
static void pin_usb_port(json_t *arguments, const char *id, uint64_t deadline)
{
	char *text = qmp_hmp(&qmp_private, "info usb", deadline), *save = NULL;

	for (char *line = text ? strtok_r(text, "\r\n", &save) : NULL; line; line = strtok_r(NULL, "\r\n", &save)) {
		const char *port = strstr(line, ", Port "), *name = strstr(line, ", ID: ");

		if (port && name && !strcmp(name + 6, id))
			say(arguments, "port", json_stringn(port + 7, strcspn(port + 7, ",")));
	}
	free(text);
}

static bool pin_device(json_t *arguments, const char *id, uint64_t deadline)
{
	/*
	 * Where a device lies on its bus, and what QEMU numbers: properties of several kinds of device, which all can
	 * be set in every version. A CPU's place is always said.
	 */
	static const char *const places[] = { "slot", "nr", "scsi-id", "channel", "lun", "unit", "devno", "mac" };
	char path[1024], error[QMP_ERROR_MAX];

	snprintf(path, sizeof(path), "/machine/peripheral/%s", id);
	json_t *properties = qmp_command(&qmp_private, "qom-list", json_pack("{s:s}", "path", path), deadline, error);
	if (!properties)
		return false;
	if (!says(arguments, "bus"))
		pin_bus(arguments, path, deadline);
	/* A PCI address is a number that is read as another one: 7.2 takes all numbers for hexadecimal. */
	if (!says(arguments, "addr") && has_property(properties, "addr"))
		pin_property(arguments, path, "addr", has_property(properties, "legacy-addr") ? "legacy-addr" : "addr",
			     deadline);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (!says(arguments, places[i]) && has_property(properties, places[i]))
			pin_property(arguments, path, places[i], places[i], deadline);
	if (!says(arguments, "port") && has_property(properties, "pcap"))
		pin_usb_port(arguments, id, deadline);
	json_decref(properties);
	return true;
}

/* The interface is up already: its script ran when it was added. */
static void pin_network(json_t *arguments)
{
	char *options = line_options(arguments) ? strdup(line_options(arguments)) : json_dumps(arguments, JSON_COMPACT);
	char type[32], value[16];

	optvalue_type(options ? options : "", type, sizeof(type));
	if (!strcmp(type, "tap") && !says(arguments, "fd") && !says(arguments, "fds") && !says(arguments, "helper") &&
	    !(optvalue_get(options, "script", value, sizeof(value)) && !strcmp(value, "no")))
		say(arguments, "script", json_string("no"));
	free(options);
}

/* A client that was connected is in the queue when QEMU listens; one that was not is not to be waited for. */
static void pin_chardev(json_t *arguments)
{
	json_t *backend = json_object_get(arguments, "backend"), *data = json_object_get(backend, "data");
	const char *type = json_string_value(json_object_get(backend, "type")), *options = line_options(arguments);

	if (options && optvalue_on(options, "server"))
		say(arguments, "wait", json_string("off"));
	if (type && !strcmp(type, "socket") && !json_is_false(json_object_get(data, "server")))
		json_object_set_new(data, "wait", json_false());
}

/**
 * placement_pin() - the command that adds the same thing at the same place again
 * @change:	 what was added, and is there
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Return: to be freed, or NULL where that is not known.
 */
char *placement_pin(const struct change *change, uint64_t deadline_ns)
{
	json_t *json = json_loads(change->command, 0, NULL), *arguments = json_object_get(json, "arguments");
	bool known = arguments != NULL;

	/* A removable drive whose medium was changed begins empty. */
	if (known && !strcmp(change->kind, "device") && changes_has_value(VALUES_DEVICE_MEDIUM, change->id))
		json_object_del(arguments, "drive");
	if (known && !strcmp(change->kind, "device"))
		known = pin_device(arguments, change->id, deadline_ns);
	else if (known && !strcmp(change->kind, "network"))
		pin_network(arguments);
	else if (known && !strcmp(change->kind, "character device"))
		pin_chardev(arguments);
	char *text = known ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}
