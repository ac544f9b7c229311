/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hotplug.c - what was plugged in and taken out at run time; see hotplug.h. */
#include "hotplug.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "argv.h"
#include "changes.h"
#include "entities.h"
#include "fault.h"
#include "made.h"
#include "namedfds.h"
#include "optvalue.h"
#include "placement.h"
#include "qmp.h"
#include "refused.h"
#include "values.h"
#include "vm.h"
#include "watched.h"

#define NAME_MAX_BYTES 1024

/**
 * struct comparison - what there was, what there is, and what is known of how it came
 * @before: the list that the command line and the changes so far account for
 * @now:    the list of now
 * @known:  changes
 * @known_count: how many
 * @reasons: what cannot be handed over
 */
struct comparison {
	const char *before;
	const char *now;
	struct change *known;
	size_t known_count;
	struct reasons *reasons;
};

/* An entity as its line in the list has it: "kind id more". */
struct entity {
	char kind[32];
	char id[NAME_MAX_BYTES];
	const char *more;
	size_t more_len;
};

static bool parse(const char *line, size_t len, struct entity *ret)
{
	static const char *const kinds[] = {
		"device", "unnamed device",	 "object",  "character device", "block node",
		"drive",  "I/O limits of drive", "network", "number of CPUs"
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t kind = strlen(kinds[i]);

		if (len <= kind || memcmp(line, kinds[i], kind) != 0 || line[kind] != ' ')
			continue;
		const char *id = line + kind + 1, *end = memchr(id, ' ', len - kind - 1);
		size_t id_len = end ? (size_t)(end - id) : len - kind - 1;

		snprintf(ret->kind, sizeof(ret->kind), "%s", kinds[i]);
		snprintf(ret->id, sizeof(ret->id), "%.*s", (int)id_len, id);
		ret->more = id + id_len;
		ret->more_len = len - kind - 1 - id_len;
		return true;
	}
	return false;
}

static bool is(const struct entity *e, const char *kind)
{
	return !strcmp(e->kind, kind);
}

static const struct change *added(const struct comparison *c, const char *kind, const char *id)
{
	for (size_t i = 0; i < c->known_count; i++)
		if (c->known[i].what == CHANGE_ADDED && !strcmp(c->known[i].kind, kind) && !strcmp(c->known[i].id, id))
			return &c->known[i];
	return NULL;
}

/* Block devices name themselves by id or by path: /machine/peripheral/ID/virtio-backend. */
static const char *device_of_drive(const char *id, char *ret, size_t size)
{
	static const char path[] = "/machine/peripheral/";

	if (!strncmp(id, path, sizeof(path) - 1))
		id += sizeof(path) - 1;
	snprintf(ret, size, "%.*s", (int)strcspn(id, "/ "), id);
	return ret;
}

static bool any_added(const struct comparison *c, const char *kind, const char *word)
{
	for (size_t i = 0; i < c->known_count; i++)
		if (c->known[i].what == CHANGE_ADDED && !strcmp(c->known[i].kind, kind) &&
		    strstr(c->known[i].command, word))
			return true;
	return false;
}

static bool any_medium(const struct comparison *c)
{
	for (size_t i = 0; i < c->known_count; i++)
		if (c->known[i].what == CHANGE_VALUE && !strcmp(c->known[i].kind, VALUES_DRIVE_MEDIUM))
			return true;
	return false;
}

static bool names_node(const json_t *options, const char *name)
{
	const char *mine = json_string_value(json_object_get(options, "node-name"));
	const json_t *value;
	const char *key;
	size_t i;

	if (mine && !strcmp(mine, name))
		return true;
	json_array_foreach(options, i, value)
		if (names_node(value, name))
			return true;
	json_object_foreach((json_t *)options, key, value)
		if ((json_is_object(value) || json_is_array(value)) && names_node(value, name))
			return true;
	return false;
}

/* One command makes a node and, inside it, the nodes that it is made of. */
static bool node_was_added(const struct comparison *c, const char *name)
{
	bool found = false;

	for (size_t i = 0; i < c->known_count && !found; i++) {
		if (c->known[i].what != CHANGE_ADDED || strcmp(c->known[i].kind, "block node") != 0)
			continue;
		json_t *command = json_loads(c->known[i].command, 0, NULL);
		found = names_node(json_object_get(command, "arguments"), name);
		json_decref(command);
	}
	return found;
}

static bool has_other_medium(const char *drive)
{
	return changes_has_value(VALUES_DRIVE_MEDIUM, drive) || changes_has_value(VALUES_DEVICE_MEDIUM, drive);
}

static bool is_known_new(const struct comparison *c, const struct entity *e)
{
	char device[NAME_MAX_BYTES];

	if (is(e, "block node"))
		return e->id[0] == '(' ? any_added(c, "block node", "") || any_added(c, "drive", "") || any_medium(c)
				       : node_was_added(c, e->id);
	if (is(e, VALUES_LIMITS))
		return changes_has_value(VALUES_LIMITS, e->id);
	if (is(e, "drive") && has_other_medium(e->id))
		return true;
	if (is(e, "drive"))
		return added(c, "drive", e->id) || added(c, "device", device_of_drive(e->id, device, sizeof(device)));
	if (is(e, "number of CPUs"))
		return any_added(c, "device", "-cpu") || strstr(c->before, "-cpu>");
	if (is(e, "network") && added(c, "device", e->id))
		return true; /* a network device has its back end's other end by its own name */
	return added(c, e->kind, e->id) != NULL;
}

static bool is_known_gone(const struct comparison *c, const struct entity *e)
{
	char device[NAME_MAX_BYTES];

	if (is(e, VALUES_LIMITS))
		return changes_has_value(VALUES_LIMITS, e->id) || !entities_has(c->now, "drive", e->id);
	if (is(e, "drive") && has_other_medium(e->id))
		return true;
	/* Something of that name is still there: it was changed, or made anew otherwise. */
	if (e->id[0] != '(' && !is(e, "number of CPUs") && entities_has(c->now, e->kind, e->id))
		return added(c, e->kind, e->id) != NULL;
	if (made_has(vm.argv, e->kind, e->id)) {
		changes_remove(e->kind, e->id);
		return true;
	}
	if (added(c, e->kind, e->id))
		return true;
	if (is(e, "network") || is(e, "drive"))
		return !entities_has(c->now, "device", device_of_drive(e->id, device, sizeof(device))) &&
		       (added(c, "device", device) || made_has(vm.argv, "device", device));
	/* Inner nodes go with the one that they are part of. */
	if (is(e, "block node"))
		return node_was_added(c, e->id) || e->id[0] == '(' || made_has_part(vm.argv, e->id);
	return is(e, "number of CPUs") && (any_added(c, "device", "-cpu") || strstr(c->before, "-cpu>"));
}

static void new_one(const char *line, size_t len, void *opaque)
{
	struct comparison *c = opaque;
	struct entity e;

	if (!parse(line, len, &e) || !is_known_new(c, &e))
		reasons_add(c->reasons, BLOCKER_ADDED_UNKNOWN,
			    "%.*s was added after the start, but it is not known how", (int)len, line);
}

static void gone_one(const char *line, size_t len, void *opaque)
{
	struct comparison *c = opaque;
	struct entity e;

	if (!parse(line, len, &e) || !is_known_gone(c, &e))
		reasons_add(c->reasons, BLOCKER_REMOVED_UNKNOWN, "%.*s was removed or changed after the start",
			    (int)len, line);
}

/* A device that is there, although it went, or is to go. */
static void check_device(const char *line, size_t len, void *opaque)
{
	struct comparison *c = opaque;
	struct entity e;

	if (!parse(line, len, &e) || !is(&e, "device"))
		return;
	const struct change *how = added(c, "device", e.id);
	if (changes_is_unplugging(e.id))
		reasons_add(c->reasons, BLOCKER_UNPLUG_PENDING, "unplugging device %s is pending", e.id);
	if (changes_was_deleted(e.id) && (!how || !how->here))
		reasons_add(c->reasons, BLOCKER_ADDED_UNKNOWN,
			    "device %s was removed and added again, but it is not known how", e.id);
}

/* What is written in a command as an option of the command line, for the rules about those. */
static void check_rules(const struct change *change, struct reasons *reasons)
{
	static const char *const options[][2] = {
		{ "device", "device" },	      { "network", "netdev" },
		{ "object", "object" },	      { "character device", "chardev" },
		{ "block node", "blockdev" }, { "drive", "drive" },
	};
	char *text = placement_options(change->command), value[64];

	if (text && !strcmp(change->kind, "character device")) {
		optvalue_type(text, value, sizeof(value));
		if (!strcmp(value, "pty"))
			reasons_add(reasons, BLOCKER_HOTPLUG_PTY,
				    "character device %s is a pty that was added after the start", change->id);
		if (optvalue_get(text, "in", value, sizeof(value)) ||
		    optvalue_get(text, "input-path", value, sizeof(value)))
			reasons_add(reasons, BLOCKER_HOTPLUG_INPUT_FILE,
				    "character device %s reads a file since after the start", change->id);
	}
	if (text && !strcmp(change->kind, "network") &&
	    (optvalue_get(text, "helper", value, sizeof(value)) ||
	     (optvalue_get(text, "type", value, sizeof(value)) && !strcmp(value, "bridge"))))
		reasons_add(reasons, BLOCKER_HOTPLUG_BRIDGE_HELPER,
			    "network %s was added after the start by a bridge helper", change->id);
	for (size_t i = 0; text && i < sizeof(options) / sizeof(options[0]); i++)
		if (!strcmp(options[i][0], change->kind))
			refused_option(options[i][1], text, reasons);
	free(text);
}

/* What was set of something that is gone is forgotten. */
static void check_values(const struct comparison *c)
{
	static const char *const of_drives[] = { VALUES_LIMITS, VALUES_DRIVE_MEDIUM, VALUES_DEVICE_MEDIUM,
						 VALUES_OPENING, VALUES_TRAY };
	char name[NAME_MAX_BYTES];

	for (size_t i = 0; i < c->known_count; i++) {
		const struct change *change = &c->known[i];
		bool gone = false;

		if (change->what != CHANGE_VALUE)
			continue;
		device_of_drive(change->id, name, sizeof(name));
		for (size_t n = 0; n < sizeof(of_drives) / sizeof(of_drives[0]); n++)
			gone |= !strcmp(change->kind, of_drives[n]) && !entities_has(c->now, "drive", change->id);
		if (!strcmp(change->kind, "link"))
			gone = !entities_has(c->now, "network", change->id);
		else if (!strcmp(change->kind, "property") && !strncmp(change->id, "/machine/peripheral/", 20))
			gone = !entities_has(c->now, "device", name);
		else if (!strcmp(change->kind, "property") && !strncmp(change->id, "/objects/", 9))
			gone = !entities_has(c->now, "object", device_of_drive(change->id + 9, name, sizeof(name)));
		if (gone)
			changes_forget(change);
	}
}

/* What was added: is it still there, and where does it lie? */
static void check_added(struct comparison *c, uint64_t deadline)
{
	for (size_t i = 0; i < c->known_count; i++) {
		const struct change *change = &c->known[i];

		if (change->what != CHANGE_ADDED)
			continue;
		if (!entities_has(c->now, change->kind, change->id)) {
			changes_forget(change);
			continue;
		}
		if (change->gone) {
			reasons_add(c->reasons, BLOCKER_REMOVED_UNKNOWN,
				    "%s %s was removed, but it is there: something still needs it, or it was added "
				    "again through a monitor that is not watched",
				    change->kind, change->id);
			continue;
		}
		if (made_has(vm.argv, change->kind, change->id))
			changes_remove(change->kind, change->id);
		if (change->altered)
			reasons_add(
				c->reasons, BLOCKER_BLOCK_GRAPH_CHANGED,
				"%s %s was added after the start, and a snapshot or job has changed block nodes since",
				change->kind, change->id);
		check_rules(change, c->reasons);
		char *exact = placement_pin(change, deadline);
		if (exact)
			changes_set_command(change, exact);
		else
			reasons_add(c->reasons, BLOCKER_PLACE_UNKNOWN, "it could not be found out where %s %s lies",
				    change->kind, change->id);
		free(exact);
	}
}

/* What stays on the command line must not name what is left out of it. */
static void check_references(struct reasons *reasons)
{
	char **argv = made_without(vm.argv, changes_is_removed, changes_has_value);
	const char *user, *missing;
	char id[NAME_MAX_BYTES];
	size_t at = 1;

	while (argv && (at = made_dangling(argv, changes_is_removed, at, &user, &missing, id, sizeof(id))))
		reasons_add(reasons, BLOCKER_REMOVED_NEEDED,
			    "%s %s was removed after the start, but -%s on the command line needs it", missing, id,
			    user);
	free(argv);
}

/**
 * hotplug_check() - can all that was added be made again, and all that was removed be left out?
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what cannot
 *
 * Where nothing stands against it, the list of now is the one that a successor must have (vm.entities).
 */
void hotplug_check(uint64_t deadline_ns, struct reasons *reasons)
{
	struct comparison c = { .before = vm.entities, .now = entities_query(deadline_ns) };
	struct reasons found = REASONS_INIT;

	if (c.before)
		values_check(c.before, deadline_ns, &found);
	if (!c.before || !c.now || changes_copy(&c.known, &c.known_count)) {
		reasons_add(reasons, BLOCKER_NOT_TOLD, "QEMU's devices could not be listed");
		free((void *)c.now);
		return;
	}
	c.reasons = &found;
	entities_differ(c.now, c.before, new_one, &c);
	entities_differ(c.before, c.now, gone_one, &c);
	entities_differ(c.now, "", check_device, &c);
	check_values(&c);
	check_added(&c, deadline_ns);
	check_references(&found);
	changes_free(c.known, c.known_count);
	if (reasons_any(&found)) {
		free((void *)c.now);
		reasons_move(reasons, &found);
	} else {
		free(vm.entities);
		vm.entities = (char *)c.now;
	}
}

/* Whether a human monitor's command went well it says in words only. */
static int run(const struct change *change, uint64_t deadline, char error[QMP_ERROR_MAX])
{
	json_t *command = json_loads(change->command, 0, NULL);
	const char *name = json_string_value(json_object_get(command, "execute"));
	json_t *arguments = json_object_get(command, "arguments"), *answer = NULL;

	if (name && !namedfds_pass(arguments, deadline, error))
		answer = qmp_command(&qmp_private, name, json_incref(arguments), deadline, error);
	int rc = answer ? 0 : -EIO;

	if (json_is_string(answer) && !watched_hmp_went_well(json_string_value(answer))) {
		snprintf(error, QMP_ERROR_MAX, "%s", json_string_value(answer));
		error[strcspn(error, "\r\n")] = '\0';
		rc = -EIO;
	}
	json_decref(answer);
	json_decref(command);
	return rc;
}

/**
 * hotplug_replay() - in a successor that waits for the device state: add what was added, set what was set
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 QMP_ERROR_MAX bytes: what could not be made again
 * @warnings:	 what could not be set
 *
 * Return: 0 or a negative errno.
 */
int hotplug_replay(uint64_t deadline_ns, char *error, struct reasons *warnings)
{
	char why[QMP_ERROR_MAX] = "";
	struct change *list;
	size_t n;
	int rc = changes_copy(&list, &n);

	if (rc) {
		snprintf(error, QMP_ERROR_MAX, "%s", strerror(-rc));
		return rc;
	}
	/* The last command is forgotten: the lists of both programs must tell. */
	n -= n && fault_at("replay");
	for (size_t i = 0; i < n; i++) {
		if (list[i].what != CHANGE_ADDED || !run(&list[i], deadline_ns, why))
			continue;
		if (!rc)
			snprintf(error, QMP_ERROR_MAX, "%s %s could not be added again: %.400s", list[i].kind,
				 list[i].id, why);
		rc = -EIO;
	}
	for (size_t i = 0; i < n; i++)
		if (list[i].what == CHANGE_VALUE && *list[i].command && run(&list[i], deadline_ns, why))
			reasons_note(warnings, "%s %s was not set again: %s", list[i].kind, list[i].id, why);
	changes_free(list, n);
	return rc;
}

struct difference {
	char *error;
	const char *what;
	bool any;
};

static void first_difference(const char *line, size_t len, void *opaque)
{
	struct difference *d = opaque;

	if (!d->any)
		snprintf(d->error, QMP_ERROR_MAX, "%.*s is %s the new QEMU", (int)len, line, d->what);
	d->any = true;
}

/**
 * hotplug_compare() - has this QEMU what the one before had?
 * @expected:	 its list
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 QMP_ERROR_MAX bytes: the first thing that differs
 *
 * Return: 0 or a negative errno.
 */
int hotplug_compare(const char *expected, uint64_t deadline_ns, char *error)
{
	struct difference missing = { error, "not in", false }, more = { error, "only in", false };
	char *now = entities_query(deadline_ns);

	if (!now) {
		snprintf(error, QMP_ERROR_MAX, "QEMU's devices could not be listed");
		return -ENOMEM;
	}
	entities_differ(now, expected, first_difference, &more);
	entities_differ(expected, now, first_difference, &missing);
	free(now);
	return missing.any || more.any ? -EINVAL : 0;
}
