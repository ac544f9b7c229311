/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* watched.c - the monitors' commands that change the VM; see watched.h. */
#include "watched.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optvalue.h"

static const struct watched commands[] = {
	{ "device_add", "device_add", EFFECT_ADD, "device", "id", NULL },
	{ "device_del", "device_del", EFFECT_UNPLUG, "device", "id", NULL },
	{ "netdev_add", "netdev_add", EFFECT_ADD, "network", "id", NULL },
	{ "netdev_del", "netdev_del", EFFECT_DELETE, "network", "id", NULL },
	{ "object-add", "object_add", EFFECT_ADD, "object", "id", NULL },
	{ "object-del", "object_del", EFFECT_DELETE, "object", "id", NULL },
	{ "chardev-add", "chardev-add", EFFECT_ADD, "character device", "id", NULL },
	{ "chardev-change", "chardev-change", EFFECT_ADD, "character device", "id", NULL },
	{ "chardev-remove", "chardev-remove", EFFECT_DELETE, "character device", "id", NULL },
	{ "blockdev-add", NULL, EFFECT_ADD, "block node", "node-name", NULL },
	{ "blockdev-del", NULL, EFFECT_DELETE, "block node", "node-name", NULL },
	{ NULL, "drive_add", EFFECT_ADD, "drive", "id", NULL },
	{ NULL, "drive_del", EFFECT_DELETE, "drive", "id", NULL },
	{ "blockdev-reopen", NULL, EFFECT_ALTER, NULL, NULL, NULL },
	{ "blockdev-snapshot", NULL, EFFECT_ALTER, NULL, NULL, NULL },
	{ "blockdev-snapshot-sync", "snapshot_blkdev", EFFECT_ALTER, NULL, NULL, NULL },
	{ "blockdev-mirror", NULL, EFFECT_ALTER, NULL, NULL, NULL },
	{ "drive-mirror", "drive_mirror", EFFECT_ALTER, NULL, NULL, NULL },
	{ "block-commit", NULL, EFFECT_ALTER, NULL, NULL, NULL },
	{ "block-stream", "block_stream", EFFECT_ALTER, NULL, NULL, NULL },
	{ "change-backing-file", NULL, EFFECT_ALTER, NULL, NULL, NULL },
	{ "x-blockdev-change", NULL, EFFECT_ALTER, NULL, NULL, NULL },
	{ "transaction", NULL, EFFECT_ALTER, NULL, NULL, NULL },
	{ "set_link", "set_link", EFFECT_SET, "link", "name", NULL },
	{ "set_password", "set_password", EFFECT_SET, "password", "protocol", "display" },
	{ "expire_password", "expire_password", EFFECT_SET, "expiry of password", "protocol", "display" },
	{ "qom-set", "qom-set", EFFECT_SET, "property", "path", "property" },
	{ "watchdog-set-action", "watchdog_action", EFFECT_SET, "action", NULL, NULL },
	{ "set-action", NULL, EFFECT_SET, "action", NULL, NULL },
	{ "trace-event-set-state", "trace-event", EFFECT_SET, "trace event", "name", NULL },
	{ NULL, "log", EFFECT_SET, "log", NULL, NULL },
	{ NULL, "logfile", EFFECT_SET, "log file", NULL, NULL },
};

/* Which one it is about, from QMP's arguments. */
static char *qmp_id(const struct watched *w, const json_t *arguments)
{
	const char *a = w->key ? json_string_value(json_object_get(arguments, w->key)) : NULL;
	const char *b = w->key2 ? json_string_value(json_object_get(arguments, w->key2)) : NULL;
	char *id = NULL;

	return asprintf(&id, "%s%s%s", a ? a : "", b ? " " : "", b ? b : "") < 0 ? NULL : id;
}

/* The same from a line of the human monitor's: of what is added it is an option, else the first words. */
static char *hmp_id(const struct watched *w, const char *rest)
{
	char id[1024] = "";

	if (w->effect == EFFECT_ADD) {
		const char *options = strrchr(rest, ' ');

		if (!optvalue_get(options ? options + 1 : rest, "id", id, sizeof(id)))
			id[0] = '\0';
	} else if (w->key) {
		size_t len = strcspn(rest, " ");

		if (w->key2 && !strcmp(w->key2, "property") && rest[len])
			len += 1 + strcspn(rest + len + 1, " ");
		snprintf(id, sizeof(id), "%.*s", (int)len, rest);
	}
	return strdup(id);
}

static const struct watched *find_command(const char *name, size_t len, bool hmp)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const char *known = hmp ? commands[i].hmp : commands[i].qmp;

		if (known && strlen(known) == len && !memcmp(known, name, len))
			return &commands[i];
	}
	return NULL;
}

static const char *hmp_line(const json_t *request)
{
	const char *line = json_string_value(json_object_get(json_object_get(request, "arguments"), "command-line"));

	return line ? line + strspn(line, " ") : "";
}

/** watched_find() - the line of the table for a request, as QMP; NULL where it changes nothing that is kept */
const struct watched *watched_find(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "execute"));

	if (!name)
		return NULL;
	if (!strcmp(name, "human-monitor-command"))
		return find_command(hmp_line(request), strcspn(hmp_line(request), " "), true);
	/* A later name for the same thing. */
	if (!strcmp(name, "change-vnc-password"))
		name = "set_password";
	return find_command(name, strlen(name), false);
}

static bool is_hmp(const json_t *request)
{
	return !strcmp(json_string_value(json_object_get(request, "execute")), "human-monitor-command");
}

/* What follows the name of a command of the human monitor's. */
static const char *hmp_rest(const json_t *request)
{
	const char *rest = hmp_line(request);

	rest += strcspn(rest, " ");
	return rest + strspn(rest, " ");
}

/* There are three ways to say it: one of them can stand for all, of which the last counts. */
static json_t *watchdog_action(const json_t *request)
{
	const char *action = json_string_value(json_object_get(json_object_get(request, "arguments"), "action"));

	return json_pack("{s:s, s:{s:s}}", "execute", "set-action", "arguments", "watchdog",
			 action ? action : hmp_rest(request));
}

/** watched_command() - as QEMU is told it again: without id, and in words that mean the same to it later */
json_t *watched_command(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "execute"));
	const json_t *arguments = json_object_get(request, "arguments");

	if (!strcmp(name, "watchdog-set-action") || !strncmp(hmp_line(request), "watchdog_action ", 16))
		return watchdog_action(request);
	json_t *copy = arguments ? json_deep_copy(arguments) : json_object();

	if (!strcmp(name, "change-vnc-password")) {
		json_object_set_new(copy, "protocol", json_string("vnc"));
		name = "set_password";
	}
	return json_pack("{s:s, s:o}", "execute", name, "arguments", copy);
}

/** watched_id() - which one a request is about; malloc'ed, or NULL. @command: watched_command()'s of it */
char *watched_id(const struct watched *w, const json_t *request, const json_t *command)
{
	return is_hmp(request) ? hmp_id(w, hmp_rest(request)) : qmp_id(w, json_object_get(command, "arguments"));
}

/**
 * watched_hmp_went_well() - does what a human monitor's command printed tell of success?
 *
 * That says nothing, or "OK" (block/monitor/block-hmp-cmds.c:hmp_drive_add).
 */
bool watched_hmp_went_well(const char *text)
{
	text += strspn(text, " \r\n");
	return !*text || !strncmp(text, "OK", 2);
}

/** watched_went_well() - does a QMP monitor's answer tell of success? */
bool watched_went_well(const json_t *request, const json_t *answer)
{
	const json_t *value = json_object_get(answer, "return");

	if (is_hmp(request) && json_is_string(value))
		return watched_hmp_went_well(json_string_value(value));
	return value != NULL;
}
