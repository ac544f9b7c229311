/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * entities.c - what QEMU has; see entities.h.
 *
 * The text has one entity a line, "kind name", sorted within its kind by QEMU or by us. Names that QEMU makes up
 * (anonymous devices, automatic block node names) are counted by type instead, since they may differ between two
 * starts.
 */
#include "entities.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qmp.h"

#define LINES 4096

struct lines {
	char *line[LINES];
	size_t count;
};

static void add(struct lines *l, const char *kind, const char *name, const char *detail)
{
	if (l->count < LINES &&
	    asprintf(&l->line[l->count], "%s %s%s%s", kind, name, detail ? " " : "", detail ? detail : "") >= 0)
		l->count++;
}

static void add_children(struct lines *l, const char *kind, const char *path, bool by_type, uint64_t deadline)
{
	char error[QMP_ERROR_MAX];
	json_t *list = qmp_command(&qmp_private, "qom-list", json_pack("{s:s}", "path", path), deadline, error);
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *name = json_string_value(json_object_get(item, "name"));
		const char *type = json_string_value(json_object_get(item, "type"));

		if (name && type && !strncmp(type, "child<", 6))
			add(l, kind, by_type ? type : name, by_type ? NULL : type);
	}
	json_decref(list);
}

/* One without a name (gdbstub.c:gdbserver_start) has one made of random digits (util/id.c:id_generate). */
static void add_chardevs(struct lines *l, uint64_t deadline)
{
	char error[QMP_ERROR_MAX];
	json_t *list = qmp_command(&qmp_private, "query-chardev", NULL, deadline, error);
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *label = json_string_value(json_object_get(item, "label"));

		add(l, "character device", label && *label == '#' ? "(unnamed)" : label, NULL);
	}
	json_decref(list);
}

/**
 * entities_limits() - the I/O limits of a drive as its line has them, to be freed; "" where it has none
 * @inserted: of query-block
 */
char *entities_limits(const json_t *inserted)
{
	static const char *const prefixes[] = { "", "_rd", "_wr" };
	static const char *const suffixes[] = { "", "_max", "_max_length" };
	char *text = calloc(1, 2048), *at = text, key[64];
	bool any = false;

	for (size_t i = 0; text && i < 18; i++) {
		snprintf(key, sizeof(key), "%s%s%s", i < 9 ? "bps" : "iops", prefixes[i % 9 / 3], suffixes[i % 3]);
		json_int_t value = json_integer_value(json_object_get(inserted, key));

		/* The length of a burst is 1 where nothing was said. */
		if (!value)
			continue;
		any |= i % 3 != 2;
		at += snprintf(at, 96, "%s%s=%" JSON_INTEGER_FORMAT, at > text ? " " : "", key, value);
	}
	if (text && !any)
		*text = '\0';
	return text;
}

static void add_limits(struct lines *l, const char *drive, const json_t *inserted)
{
	char *text = entities_limits(inserted);

	if (text && *text)
		add(l, "I/O limits of drive", drive, text);
	free(text);
}

static void add_block(struct lines *l, uint64_t deadline)
{
	char error[QMP_ERROR_MAX];
	json_t *list =
		qmp_command(&qmp_private, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), deadline, error);
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *name = json_string_value(json_object_get(item, "node-name"));
		const char *file = json_string_value(json_object_get(item, "file"));
		const char *driver = json_string_value(json_object_get(item, "drv"));
		const char *backing = json_string_value(json_object_get(item, "backing_file"));
		char detail[4096];

		snprintf(detail, sizeof(detail), "%s %s%s%s%s", driver ? driver : "", file ? file : "",
			 backing ? " on " : "", backing ? backing : "",
			 json_is_true(json_object_get(item, "ro")) ? " read-only" : "");
		if (name)
			add(l, "block node", name[0] == '#' ? "(unnamed)" : name, detail);
	}
	json_decref(list);
	list = qmp_command(&qmp_private, "query-block", NULL, deadline, error);
	json_array_foreach(list, i, item) {
		const char *device = json_string_value(json_object_get(item, "device"));
		const char *qdev = json_string_value(json_object_get(item, "qdev"));
		const json_t *inserted = json_object_get(item, "inserted");
		const char *file = json_string_value(json_object_get(inserted, "file"));

		add(l, "drive", device && *device ? device : qdev ? qdev : "(unnamed)", file ? file : "empty");
		add_limits(l, device && *device ? device : qdev ? qdev : "(unnamed)", inserted);
	}
	json_decref(list);
}

/*
 * "info network" indents what is behind a hub or peer; only the names count, which end at a colon. What is at a hub's port
 * follows it: " \\ hub0port1: net1: index=0"
 */
static void add_network(struct lines *l, uint64_t deadline)
{
	char *text = qmp_hmp(&qmp_private, "info network", deadline), *save = NULL;

	for (char *line = text ? strtok_r(text, "\r\n", &save) : NULL; line; line = strtok_r(NULL, "\r\n", &save)) {
		char *colon = strchr(line, ':');
		bool indented = *line == ' ';

		while (*line == ' ' || *line == '\\')
			line++;
		/*
		 * A hub's line has no colon, nor has that of a port of its with nothing at it. A hub itself is nothing
		 * to lose.
		 */
		if (colon && colon > line)
			*colon = '\0';
		else if (!indented)
			continue;
		add(l, "network", line, NULL);
		char *end = colon && indented ? strstr(colon + 1, ": index=") : NULL;

		if (end) {
			*end = '\0';
			add(l, "network", colon + 2, NULL);
		}
	}
	free(text);
}

static void add_cpus(struct lines *l, uint64_t deadline)
{
	char error[QMP_ERROR_MAX], text[32];
	json_t *list = qmp_command(&qmp_private, "query-cpus-fast", NULL, deadline, error);

	snprintf(text, sizeof(text), "%zu", json_array_size(list));
	add(l, "number of CPUs", text, NULL);
	json_decref(list);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/**
 * entities_query() - ask QEMU for all of them, on the private monitor
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Return: the text, to be freed, or NULL where memory ran out.
 */
char *entities_query(uint64_t deadline_ns)
{
	struct lines *l = calloc(1, sizeof(*l));
	size_t len = 1;

	if (!l)
		return NULL;
	add_children(l, "device", "/machine/peripheral", false, deadline_ns);
	add_children(l, "unnamed device", "/machine/peripheral-anon", true, deadline_ns);
	add_children(l, "object", "/objects", false, deadline_ns);
	add_chardevs(l, deadline_ns);
	add_block(l, deadline_ns);
	add_network(l, deadline_ns);
	add_cpus(l, deadline_ns);
	qsort(l->line, l->count, sizeof(l->line[0]), by_text);
	for (size_t i = 0; i < l->count; i++)
		len += strlen(l->line[i]) + 1;
	char *text = calloc(1, len), *at = text;
	for (size_t i = 0; i < l->count; i++) {
		if (text)
			at = stpcpy(stpcpy(at, l->line[i]), "\n");
		free(l->line[i]);
	}
	free(l);
	return text;
}

/* Is this line in a sorted text at least as often as in the other up to here? Counts make duplicates comparable. */
static size_t times(const char *text, const char *line, size_t len)
{
	size_t n = 0;

	for (; text && *text; text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL)
		n += !strncmp(text, line, len) && (text[len] == '\n' || !text[len]);
	return n;
}

/**
 * entities_differ() - what one list has and another has not
 * @in:	    the one
 * @other:  the other
 * @fn:	    called with each such line, which does not end in a zero byte
 * @opaque: passed to it
 */
void entities_differ(const char *in, const char *other, entities_fn *fn, void *opaque)
{
	for (const char *at = in; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		size_t len = strcspn(at, "\n");

		if (times(in, at, len) > times(other, at, len))
			fn(at, len, opaque);
	}
}

/** entities_has() - is there one of this kind and name? */
bool entities_has(const char *list, const char *kind, const char *id)
{
	size_t kind_len = strlen(kind), id_len = strlen(id);

	for (const char *at = list; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
		const char *name = at + kind_len + 1;

		if (!strncmp(at, kind, kind_len) && at[kind_len] == ' ' && !strncmp(name, id, id_len) &&
		    strchr(" \n", name[id_len]))
			return true;
	}
	return false;
}

/** entities_has_line() - is there one of this kind and name of which this is said? */
bool entities_has_line(const char *list, const char *kind, const char *id, const char *more)
{
	char *line = NULL;
	bool found = false;
	int len = asprintf(&line, "%s %s %s", kind, id, more);

	if (len >= 0)
		found = times(list, line, (size_t)len) > 0;
	free(line);
	return found;
}
