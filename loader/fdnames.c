/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fdnames.c - names of descriptors that monitors' clients have passed in; see fdnames.h. */
#include "fdnames.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/table.h"

#define TEXT_MAX 1024

/* More are never in use at a time; the oldest is forgotten, and blocks an update if it is still there. */
static struct fdname names[FDNAMES_MAX];
static size_t next;
/* Monitors' thread and the main thread ask, the service thread looks. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Arguments that are a descriptor, or some with colons between them (monitor/fds.c:monitor_fd_param and its callers). */
static const char *const keys[] = { "fd", "fds", "vhostfd", "vhostfds" };

/* A monitor is the same one for each client of its listener. */
static int monitor_of(int fd)
{
	struct fdrec rec;

	return table_lookup(fd, &rec) && rec.kind == FDKIND_CLIENT && rec.parent >= 0 ? rec.parent : fd;
}

/**
 * fdnames_newest() - the last descriptor that came over a monitor's connection, without a name yet
 *
 * When the end of a request is read that is the one which came with it: a descriptor comes with the first byte.
 *
 * Return: its number is -1 where there is none.
 */
struct fdname fdnames_newest(int fd)
{
	struct fdname newest = { .monitor = monitor_of(fd), .number = -1 };
	struct fdrec rec;

	for (int i = 0; i < (int)FDTABLE_SLOTS; i++)
		if (table_kind(i) != FDKIND_NONE && table_lookup(i, &rec) && rec.flags & FDREC_SCM &&
		    rec.parent == fd && rec.seq > newest.seq) {
			newest.number = i;
			newest.seq = rec.seq;
		}
	return newest;
}

/* The name in a request for this command, or false. What a human monitor would read otherwise is none. */
static bool name_in(const json_t *request, const char *command, char ret[FDNAMES_TEXT])
{
	const char *asked = json_string_value(json_object_get(request, "execute"));
	const json_t *arguments = json_object_get(request, "arguments");
	const char *name = json_string_value(json_object_get(arguments, "fdname"));
	size_t len;

	if (asked && !strcmp(asked, "human-monitor-command")) {
		const char *line = json_string_value(json_object_get(arguments, "command-line"));

		len = strlen(command);
		line = line ? line + strspn(line, " ") : "";
		if (strncmp(line, command, len) != 0 || line[len] != ' ' || strpbrk(line, "\"\\;"))
			return false;
		name = line + len + strspn(line + len, " ");
		len = strcspn(name, " ");
	} else if (asked && name && !strcmp(asked, command)) {
		len = strlen(name);
	} else {
		return false;
	}
	if (!len || len >= FDNAMES_TEXT)
		return false;
	snprintf(ret, FDNAMES_TEXT, "%.*s", (int)len, name);
	return true;
}

/** fdnames_is_request() - does this request give a descriptor a name, or take one away? */
bool fdnames_is_request(const json_t *request)
{
	char name[FDNAMES_TEXT];

	return name_in(request, "getfd", name) || name_in(request, "closefd", name);
}

static bool is_there(const struct fdname *n)
{
	struct fdrec rec;

	return n->name[0] && table_lookup(n->number, &rec) && rec.seq == n->seq;
}

static struct fdname *find(int monitor, const char *name)
{
	for (size_t i = 0; i < FDNAMES_MAX; i++)
		if (names[i].name[0] && names[i].monitor == monitor && !strcmp(names[i].name, name))
			return &names[i];
	return NULL;
}

static struct fdname *room(void)
{
	for (size_t i = 0; i < FDNAMES_MAX; i++)
		if (!is_there(&names[i]))
			return &names[i];
	return &names[next++ % FDNAMES_MAX];
}

/**
 * fdnames_apply() - a descriptor has got or lost a name
 * @came:    the one that came with the request
 * @hmp:     by a human monitor
 * @request: which has succeeded; one that had the name before is closed by QEMU
 */
void fdnames_apply(const struct fdname *came, bool hmp, const json_t *request)
{
	char name[FDNAMES_TEXT];
	bool added = name_in(request, "getfd", name);

	if (!added && !name_in(request, "closefd", name))
		return;
	pthread_mutex_lock(&lock);
	struct fdname *n = find(came->monitor, name);
	if (n)
		n->name[0] = '\0';
	if (added && came->number >= 0) {
		n = room();
		*n = *came;
		n->hmp = hmp;
		strcpy(n->name, name);
	}
	pthread_mutex_unlock(&lock);
}

/** fdnames_forget() - a connection is closed; its number may be another's soon. A listener's monitor goes on. */
void fdnames_forget(int fd)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < FDNAMES_MAX; i++)
		if (names[i].monitor == fd)
			names[i].name[0] = '\0';
	pthread_mutex_unlock(&lock);
}

static bool is_end(char c)
{
	return !c || strchr(" ,:=\"'", c);
}

static bool says(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
		if ((at == text || is_end(at[-1])) && is_end(at[len]))
			return true;
	return false;
}

static bool mentions(const json_t *value, const char *name)
{
	const json_t *part;
	const char *key;
	size_t i;

	if (json_is_string(value))
		return says(json_string_value(value), name);
	json_array_foreach(value, i, part)
		if (mentions(part, name))
			return true;
	json_object_foreach((json_t *)value, key, part)
		if (mentions(part, name))
			return true;
	return false;
}

/**
 * fdnames_tell() - a monitor was asked for something else, which may take descriptors by their names
 * @fd:	     the monitor's connection
 * @request: NULL where it is not known
 */
void fdnames_tell(int fd, const json_t *request)
{
	int monitor = monitor_of(fd);

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < FDNAMES_MAX; i++)
		if (names[i].name[0] && names[i].monitor == monitor && (!request || mentions(request, names[i].name)))
			names[i].told = true;
	pthread_mutex_unlock(&lock);
}

/* A name is not a number; what is not known stays as it is. */
static void resolve_one(int monitor, const char *name, const char *prefix, char ret[FDNAMES_TEXT])
{
	const struct fdname *n = find(monitor, name);

	if (n && is_there(n))
		snprintf(ret, FDNAMES_TEXT, "%s%d", prefix, n->number);
	else
		snprintf(ret, FDNAMES_TEXT, "%s", name);
}

/* Names with colons between them. Return: bytes written to @ret. */
static size_t resolve_list(int monitor, const char *text, size_t text_len, char ret[TEXT_MAX])
{
	char name[FDNAMES_TEXT], one[FDNAMES_TEXT];
	size_t len = 0;

	for (const char *at = text; at < text + text_len;) {
		size_t part = strcspn(at, ":");

		if (part > (size_t)(text + text_len - at))
			part = (size_t)(text + text_len - at);
		if (part >= sizeof(name) || len + sizeof(one) >= TEXT_MAX)
			return 0;
		snprintf(name, sizeof(name), "%.*s", (int)part, at);
		resolve_one(monitor, name, "", one);
		len += (size_t)snprintf(ret + len, TEXT_MAX - len, "%s%s", len ? ":" : "", one);
		at += part + 1;
	}
	return len;
}

/* Where the value of one of the keys stands in "key=value", or NULL. */
static const char *value_in(const char *part)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		size_t len = strlen(keys[i]);

		if (!strncmp(part, keys[i], len) && part[len] == '=')
			return part + len + 1;
	}
	return NULL;
}

/* A human monitor's line: "netdev_add tap,id=net1,fd=name" */
static void resolve_line(int monitor, json_t *arguments)
{
	const char *line = json_string_value(json_object_get(arguments, "command-line"));
	char text[TEXT_MAX], value[TEXT_MAX];
	size_t len = 0;

	for (const char *at = line; at && *at;) {
		size_t part = strcspn(at, ", "), rest = part + (at[part] != '\0');
		const char *names_at = value_in(at);
		size_t head = names_at ? (size_t)(names_at - at) : rest;
		size_t new_len = names_at ? resolve_list(monitor, names_at, part - head, value) : 0;

		if (len + rest + new_len + 2 > sizeof(text) || (names_at && !new_len))
			return;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s%.*s%.*s", (int)head, at, (int)new_len,
					value, names_at ? (int)(rest - part) : 0, at + part);
		at += rest;
	}
	if (line)
		json_object_set_new(arguments, "command-line", json_stringn(text, len));
}

struct resolving {
	int monitor;
};

static void resolve_address(json_t *holder, const char *name, void *opaque)
{
	const struct resolving *r = opaque;
	char text[FDNAMES_TEXT];

	resolve_one(r->monitor, name, FDNAMES_PREFIX, text);
	json_object_set_new(holder, "str", json_string(text));
}

/**
 * fdnames_each_address() - each socket's address in a command that is a descriptor's name
 * @arguments: the command's
 * @fn:	       gets the object in which "str" is the name
 * @opaque:    passed to it
 */
void fdnames_each_address(const json_t *arguments, void (*fn)(json_t *holder, const char *name, void *opaque),
			  void *opaque)
{
	const char *type = json_string_value(json_object_get(arguments, "type")), *key;
	json_t *part;

	if (type && !strcmp(type, "fd")) {
		json_t *data = json_object_get(arguments, "data");
		json_t *holder = data ? data : (json_t *)arguments;
		const char *name = json_string_value(json_object_get(holder, "str"));

		if (name)
			fn(holder, name, opaque);
		return;
	}
	json_object_foreach((json_t *)arguments, key, part)
		fdnames_each_address(part, fn, opaque);
}

/** fdnames_resolve() - in the arguments of a command that was given there, put numbers in the place of names */
void fdnames_resolve(int fd, json_t *arguments)
{
	struct resolving r = { .monitor = monitor_of(fd) };
	char text[TEXT_MAX];

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = json_string_value(json_object_get(arguments, keys[i]));
		size_t len = value ? resolve_list(r.monitor, value, strlen(value), text) : 0;

		if (len)
			json_object_set_new(arguments, keys[i], json_stringn(text, len));
	}
	resolve_line(r.monitor, arguments);
	fdnames_each_address(arguments, resolve_address, &r);
	pthread_mutex_unlock(&lock);
}

static bool has_number(const char *text, size_t text_len, int number)
{
	char one[16];

	snprintf(one, sizeof(one), "%d", number);
	for (size_t at = 0, len; at < text_len; at += len + 1) {
		len = strcspn(text + at, ":, ");
		if (strlen(one) == len && !memcmp(text + at, one, len))
			return true;
	}
	return false;
}

struct looking {
	int number;
	bool found;
};

static void look_at_address(json_t *holder, const char *name, void *opaque)
{
	struct looking *l = opaque;
	size_t prefix = strlen(FDNAMES_PREFIX);

	(void)holder;
	l->found |=
		!strncmp(name, FDNAMES_PREFIX, prefix) && has_number(name + prefix, strlen(name + prefix), l->number);
}

/** fdnames_has_number() - do these arguments name a descriptor by its number? */
bool fdnames_has_number(const json_t *arguments, int number)
{
	struct looking l = { .number = number };
	const char *line = json_string_value(json_object_get(arguments, "command-line"));

	for (size_t i = 0; !l.found && i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *value = json_string_value(json_object_get(arguments, keys[i]));

		l.found = value && has_number(value, strlen(value), number);
	}
	for (const char *at = line; at && *at && !l.found; at += strcspn(at, ", "), at += *at != '\0') {
		const char *value = value_in(at);

		l.found = value && has_number(value, strcspn(value, ", "), number);
	}
	fdnames_each_address(arguments, look_at_address, &l);
	return l.found;
}

/**
 * fdnames_get() - the name of a descriptor that nobody can have taken
 * @number: its number
 * @seq:    of its record
 * @ret:    the name
 *
 * Return: false where it has none.
 */
bool fdnames_get(int number, uint64_t seq, struct fdname *ret)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < FDNAMES_MAX && !found; i++) {
		found = names[i].name[0] && names[i].number == number && names[i].seq == seq && !names[i].told;
		if (found)
			*ret = names[i];
	}
	pthread_mutex_unlock(&lock);
	return found;
}

/** fdnames_has() - is there a descriptor of this name in the monitor that a descriptor, or a listener, is of? */
bool fdnames_has(int fd, const char *name)
{
	int monitor = monitor_of(fd);

	pthread_mutex_lock(&lock);
	bool has = find(monitor, name) != NULL;
	pthread_mutex_unlock(&lock);
	return has;
}
