/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fdnames.c - names of descriptors that monitors' clients have passed in; see fdnames.h. */
#include "fdnames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/table.h"

/* More are never in use at a time; the oldest is forgotten, and blocks an update if it is still there. */
#define NAMES_MAX 64
#define TEXT_MAX  1024

static struct fdname names[NAMES_MAX];
static size_t next;

/**
 * fdnames_newest() - the last descriptor that came over a monitor's connection, without a name yet
 *
 * When the end of a request is read that is the one which came with it: a descriptor comes with the first byte.
 *
 * Return: its number is -1 where there is none.
 */
struct fdname fdnames_newest(int monitor)
{
	struct fdname newest = { .monitor = monitor, .number = -1 };
	struct fdrec rec;

	for (int fd = 0; fd < (int)FDTABLE_SLOTS; fd++)
		if (table_kind(fd) != FDKIND_NONE && table_lookup(fd, &rec) && rec.flags & FDREC_SCM &&
		    rec.parent == monitor && rec.seq > newest.seq) {
			newest.number = fd;
			newest.seq = rec.seq;
		}
	return newest;
}

/** fdnames_is_request() - does this request give a descriptor a name? */
bool fdnames_is_request(const json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "execute"));

	return command && !strcmp(command, "getfd");
}

static void release(struct fdname *n)
{
	free(n->name);
	*n = (struct fdname){ .number = -1 };
}

/** fdnames_add() - the descriptor has the name that the request says; one that had it before is closed by QEMU */
void fdnames_add(const struct fdname *descriptor, const json_t *request)
{
	const char *name = json_string_value(json_object_get(json_object_get(request, "arguments"), "fdname"));

	for (size_t i = 0; name && i < NAMES_MAX; i++)
		if (names[i].name && names[i].monitor == descriptor->monitor && !strcmp(names[i].name, name))
			release(&names[i]);
	if (!name || descriptor->number < 0)
		return;
	release(&names[next]);
	names[next] = *descriptor;
	names[next].name = strdup(name);
	next = (next + 1) % NAMES_MAX;
}

/** fdnames_forget() - the monitor's client is gone */
void fdnames_forget(int monitor)
{
	for (size_t i = 0; i < NAMES_MAX; i++)
		if (names[i].name && names[i].monitor == monitor)
			release(&names[i]);
}

/* A name is not a number; what is not known stays as it is. */
static void resolve_one(int monitor, const char *name, char ret[32])
{
	struct fdrec rec;

	snprintf(ret, 32, "%.31s", name);
	for (size_t i = 0; i < NAMES_MAX; i++)
		if (names[i].name && names[i].monitor == monitor && !strcmp(names[i].name, name) &&
		    table_lookup(names[i].number, &rec) && rec.seq == names[i].seq)
			snprintf(ret, 32, "%d", names[i].number);
}

static void resolve(int monitor, json_t *arguments, const char *key)
{
	const char *value = json_string_value(json_object_get(arguments, key));
	char copy[TEXT_MAX], text[TEXT_MAX] = "", one[32], *save = NULL;
	size_t len = 0;

	if (!value || strlen(value) >= sizeof(copy))
		return;
	strcpy(copy, value);
	for (char *name = strtok_r(copy, ":", &save); name && len < sizeof(text) - sizeof(one) - 1;
	     name = strtok_r(NULL, ":", &save)) {
		resolve_one(monitor, name, one);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ":" : "", one);
	}
	json_object_set_new(arguments, key, json_string(text));
}

/** fdnames_resolve() - in the arguments of a command that was given there, put numbers in the place of names */
void fdnames_resolve(int monitor, json_t *arguments)
{
	resolve(monitor, arguments, "fd");
	resolve(monitor, arguments, "fds");
}

static bool has_number(const char *text, int number)
{
	char one[16];

	snprintf(one, sizeof(one), "%d", number);
	for (size_t len; text && *text; text += len + (text[len] == ':')) {
		len = strcspn(text, ":");
		if (strlen(one) == len && !memcmp(text, one, len))
			return true;
	}
	return false;
}

/** fdnames_has_number() - do these arguments name a descriptor by its number? */
bool fdnames_has_number(const json_t *arguments, int number)
{
	return has_number(json_string_value(json_object_get(arguments, "fd")), number) ||
	       has_number(json_string_value(json_object_get(arguments, "fds")), number);
}
