/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* changes.c - what monitors were asked to change, and QEMU did; see changes.h. */
#include "changes.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../shim/log.h"
#include "../shim/session.h"
#include "optvalue.h"

/* Requests that wait for their answer, of all monitors: QEMU queues eight of each (monitor/qmp.c). */
#define ASKED_MAX 1024

enum effect {
	EFFECT_ADD,    /* makes something */
	EFFECT_DELETE, /* is done when it is answered */
	EFFECT_UNPLUG, /* is done when the guest lets go */
	EFFECT_SET,    /* the last one counts */
	EFFECT_ALTER,  /* changes how block nodes hang together */
};

/**
 * struct watched - a command that changes the VM
 * @qmp, @hmp: its name in either language, or NULL
 * @effect: what it does
 * @kind:   of what
 * @key:    the argument that says of which one; NULL where there is but one
 * @key2:   a further one, or NULL
 */
struct watched {
	const char *qmp;
	const char *hmp;
	enum effect effect;
	const char *kind;
	const char *key;
	const char *key2;
};

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
	{ "watchdog-set-action", "watchdog_action", EFFECT_SET, "watchdog action", NULL, NULL },
	{ "set-action", NULL, EFFECT_SET, "action", NULL, NULL },
	{ "trace-event-set-state", "trace-event", EFFECT_SET, "trace event", "name", NULL },
	{ NULL, "log", EFFECT_SET, "log", NULL, NULL },
	{ NULL, "logfile", EFFECT_SET, "log file", NULL, NULL },
};

/**
 * struct asked - a request without an answer yet
 * @fd:	     the monitor's connection
 * @id:	     QMP: its id as JSON, or NULL
 * @request: as QMP; NULL where it is none that is watched
 */
struct asked {
	int fd;
	char *id;
	json_t *request;
};

/* Monitors' thread and the main thread ask and answer, the service thread looks. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct asked *asked;
static size_t asked_count;
static struct change *changes;
static size_t count, room;
static uint64_t next_seq = 1;
static json_t *deleted;	   /* ids of devices that QEMU said are gone, as keys */
static json_t *unplugging; /* ids of devices that the guest was asked to let go, as keys */

static void release(struct change *c)
{
	free(c->kind);
	free(c->id);
	free(c->command);
}

static struct change *find(enum change_what what, const char *kind, const char *id)
{
	for (size_t i = 0; i < count; i++)
		if (changes[i].what == what && !strcmp(changes[i].kind, kind) && !strcmp(changes[i].id, id))
			return &changes[i];
	return NULL;
}

static void drop(struct change *c)
{
	if (!c)
		return;
	release(c);
	memmove(c, c + 1, (size_t)(changes + count - (c + 1)) * sizeof(*c));
	count--;
}

static int add(enum change_what what, const char *kind, const char *id, const char *command, bool here)
{
	if (count == room) {
		struct change *more = realloc(changes, (room * 2 + 16) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		changes = more;
		room = room * 2 + 16;
	}
	struct change c = {
		.what = what,
		.kind = strdup(kind),
		.id = strdup(id),
		.command = strdup(command),
		.here = here,
		.seq = next_seq++,
	};
	if (!c.kind || !c.id || !c.command) {
		release(&c);
		return -ENOMEM;
	}
	changes[count++] = c;
	return 0;
}

static void add_command(enum change_what what, const char *kind, const char *id, const json_t *command)
{
	char *text = json_dumps(command, JSON_COMPACT);

	drop(find(what, kind, id));
	if (!text || add(what, kind, id, text, true))
		log_warn("%s %s: no memory to remember how it was made", kind, id);
	free(text);
}

static void alter_all(void)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(changes[i].kind, "block node") || !strcmp(changes[i].kind, "drive"))
			changes[i].altered = true;
}

/* "expire_password vnc +60" counts from when it was said. */
static void make_absolute(json_t *command)
{
	json_t *arguments = json_object_get(command, "arguments");
	const char *when = json_string_value(json_object_get(arguments, "time"));
	char text[32];

	if (!when || (when[0] != '+' && strcmp(when, "now") != 0))
		return;
	snprintf(text, sizeof(text), "%lld",
		 (long long)time(NULL) + (when[0] == '+' ? strtoll(when + 1, NULL, 10) : 0));
	json_object_set_new(arguments, "time", json_string(text));
}

static void take_value(const struct watched *w, const char *id, json_t *command)
{
	struct change *old = find(CHANGE_VALUE, w->kind, id);

	if (w->qmp && !strcmp(w->qmp, "expire_password"))
		make_absolute(command);
	/* Each call sets what it names and leaves the rest. */
	if (old && w->qmp && !strcmp(w->qmp, "set-action")) {
		json_t *before = json_loads(old->command, 0, NULL);
		json_t *all = json_object_get(before, "arguments");

		json_object_update(all, json_object_get(command, "arguments"));
		json_object_set(command, "arguments", all);
		json_decref(before);
	}
	add_command(CHANGE_VALUE, w->kind, id, command);
}

/* Is this value one of a thing of that name? A property is named by its path first. */
static bool is_value_of(const struct change *c, const char *id)
{
	size_t len = strlen(id);
	const char *name = c->id;

	if (c->what != CHANGE_VALUE)
		return false;
	if (!strncmp(name, "/machine/peripheral/", 20))
		name += 20;
	else if (!strncmp(name, "/objects/", 9))
		name += 9;
	return !strncmp(name, id, len) && (!name[len] || strchr("/ ", name[len])) &&
	       (!strcmp(c->kind, "property") || !strcmp(c->kind, "link"));
}

/* What was set of the one that had this name before. */
static void drop_values(const char *id)
{
	for (size_t i = count; i-- > 0;)
		if (is_value_of(&changes[i], id))
			drop(&changes[i]);
}

static void take(const struct watched *w, const char *id, json_t *command)
{
	switch (w->effect) {
	case EFFECT_ADD:
		drop_values(id);
		add_command(CHANGE_ADDED, w->kind, id, command);
		if (!strcmp(w->kind, "device"))
			json_object_del(unplugging, id);
		break;
	case EFFECT_DELETE:
		if (!find(CHANGE_ADDED, w->kind, id))
			add(CHANGE_ADDED, w->kind, id, "", true);
		if (find(CHANGE_ADDED, w->kind, id))
			find(CHANGE_ADDED, w->kind, id)->gone = true;
		break;
	case EFFECT_UNPLUG:
		json_object_set_new(unplugging, id, json_true());
		break;
	case EFFECT_SET:
		take_value(w, id, command);
		break;
	case EFFECT_ALTER:
		alter_all();
		break;
	}
}

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

static const struct watched *find_request(const json_t *request)
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

/* As QEMU is told it again: without id, and in words that mean the same to it later. */
static json_t *as_command(const json_t *request)
{
	const char *name = json_string_value(json_object_get(request, "execute"));
	const json_t *arguments = json_object_get(request, "arguments");
	json_t *copy = arguments ? json_deep_copy(arguments) : json_object();

	if (!strcmp(name, "change-vnc-password")) {
		json_object_set_new(copy, "protocol", json_string("vnc"));
		name = "set_password";
	}
	return json_pack("{s:s, s:o}", "execute", name, "arguments", copy);
}

/* It was answered, and well. */
static void done(const json_t *request)
{
	const struct watched *w = find_request(request);
	json_t *command = as_command(request);
	const char *rest = hmp_line(request);

	rest += strcspn(rest, " ");
	rest += strspn(rest, " ");
	char *id = is_hmp(request) ? hmp_id(w, rest) : qmp_id(w, json_object_get(command, "arguments"));
	if (id && command)
		take(w, id, command);
	free(id);
	json_decref(command);
}

/**
 * changes_hmp_went_well() - does what a human monitor's command printed tell of success?
 *
 * That says nothing, or "OK" (block/monitor/block-hmp-cmds.c:hmp_drive_add).
 */
bool changes_hmp_went_well(const char *text)
{
	text += strspn(text, " \r\n");
	return !*text || !strncmp(text, "OK", 2);
}

static bool went_well(const json_t *request, const json_t *answer)
{
	const json_t *value = json_object_get(answer, "return");

	if (is_hmp(request) && json_is_string(value))
		return changes_hmp_went_well(json_string_value(value));
	return value != NULL;
}

static void forget_asked(size_t i)
{
	free(asked[i].id);
	json_decref(asked[i].request);
	memmove(&asked[i], &asked[i + 1], (asked_count - i - 1) * sizeof(asked[0]));
	asked_count--;
}

static void ask(int fd, const char *id, json_t *request)
{
	if (!asked)
		asked = calloc(ASKED_MAX, sizeof(*asked));
	if (!asked) {
		json_decref(request);
		return;
	}
	if (asked_count == ASKED_MAX)
		forget_asked(0);
	asked[asked_count++] = (struct asked){ .fd = fd, .id = id ? strdup(id) : NULL, .request = request };
}

static char *id_of(const json_t *message)
{
	const json_t *id = json_object_get(message, "id");

	return id ? json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

static json_t *hmp_request(const char *line, size_t len)
{
	/* What was edited with the keyboard cannot be told from its keys. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			return NULL;
	return json_pack("{s:s, s:{s:s%}}", "execute", "human-monitor-command", "arguments", "command-line", line, len);
}

static void on_asked(int fd, bool hmp, const char *text, size_t len)
{
	json_t *request = !text ? NULL : hmp ? hmp_request(text, len) : json_loadb(text, len, 0, NULL);
	char *id = hmp ? NULL : id_of(request);

	pthread_mutex_lock(&lock);
	if (!find_request(request)) {
		json_decref(request);
		request = NULL;
	}
	ask(fd, id, request);
	pthread_mutex_unlock(&lock);
	free(id);
}

static bool same_id(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/*
 * Answers come in the order of the requests, but for out-of-band ones, which have ids. A request that was read
 * otherwise by QEMU than by us is passed over as soon as a later one's id shows it.
 */
static size_t find_asked(int fd, const char *id)
{
	for (size_t i = 0; i < asked_count; i++)
		if (asked[i].fd == fd && same_id(asked[i].id, id))
			return i;
	return asked_count;
}

static void answer_qmp(int fd, const json_t *answer)
{
	if (!json_object_get(answer, "return") && !json_object_get(answer, "error"))
		return; /* an event, the greeting */
	char *id = id_of(answer);
	size_t i = find_asked(fd, id);

	if (i < asked_count) {
		if (asked[i].request && went_well(asked[i].request, answer))
			done(asked[i].request);
		forget_asked(i);
	}
	free(id);
}

static void on_answered(int fd, bool hmp, const char *text, size_t len)
{
	pthread_mutex_lock(&lock);
	size_t waiting = 0;
	for (size_t i = 0; i < asked_count; i++)
		waiting += asked[i].fd == fd;
	if (waiting && hmp) {
		size_t i = find_asked(fd, NULL);
		char *said = asked[i].request && text ? strndup(text, len) : NULL;

		if (said && changes_hmp_went_well(said))
			done(asked[i].request);
		free(said);
		forget_asked(i);
	} else if (waiting && text) {
		json_t *answer = json_loadb(text, len, 0, NULL);

		answer_qmp(fd, answer);
		json_decref(answer);
	}
	pthread_mutex_unlock(&lock);
}

static void on_closed(int fd)
{
	pthread_mutex_lock(&lock);
	for (size_t i = asked_count; i-- > 0;)
		if (asked[i].fd == fd)
			forget_asked(i);
	pthread_mutex_unlock(&lock);
}

/** changes_watch() - begin to watch; before main() */
void changes_watch(void)
{
	static const struct session_watch watch = { on_asked, on_answered, on_closed };

	deleted = json_object();
	unplugging = json_object();
	session_register(&watch);
}

/** changes_event() - QEMU told the private monitor of a device */
void changes_event(const char *event, const char *device)
{
	bool gone = !strcmp(event, "DEVICE_DELETED");

	if (!device || (!gone && strcmp(event, "DEVICE_UNPLUG_GUEST_ERROR") != 0))
		return;
	pthread_mutex_lock(&lock);
	if (gone)
		json_object_set_new(deleted, device, json_true());
	json_object_del(unplugging, device);
	pthread_mutex_unlock(&lock);
}

/**
 * changes_copy() - all of them, in their order
 * @ret, @ret_count: the copy, ended by changes_free()
 *
 * Return: 0 or a negative errno.
 */
int changes_copy(struct change **ret, size_t *ret_count)
{
	pthread_mutex_lock(&lock);
	struct change *copy = calloc(count + 1, sizeof(*copy));
	bool whole = copy != NULL;
	size_t n = count;

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = changes[i];
		copy[i].kind = strdup(changes[i].kind);
		copy[i].id = strdup(changes[i].id);
		copy[i].command = strdup(changes[i].command);
		whole = whole && copy[i].kind && copy[i].id && copy[i].command;
	}
	pthread_mutex_unlock(&lock);
	if (!whole) {
		changes_free(copy, copy ? n : 0);
		return -ENOMEM;
	}
	*ret = copy;
	*ret_count = n;
	return 0;
}

/** changes_free() - end a copy */
void changes_free(struct change *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		release(&list[i]);
	free(list);
}

static struct change *same(const struct change *c)
{
	for (size_t i = 0; i < count; i++)
		if (changes[i].seq == c->seq)
			return &changes[i];
	return NULL;
}

/** changes_any() - is there anything that the command line does not tell? */
bool changes_any(void)
{
	pthread_mutex_lock(&lock);
	bool any = count > 0;
	pthread_mutex_unlock(&lock);
	return any;
}

/** changes_forget() - what @c made is gone */
void changes_forget(const struct change *c)
{
	pthread_mutex_lock(&lock);
	drop(same(c));
	pthread_mutex_unlock(&lock);
}

/** changes_remove() - something on the command line must not be made again */
void changes_remove(const char *kind, const char *id)
{
	pthread_mutex_lock(&lock);
	if (!find(CHANGE_REMOVED, kind, id))
		add(CHANGE_REMOVED, kind, id, "", true);
	pthread_mutex_unlock(&lock);
}

/** changes_is_removed() - is it one that is on the command line and must not be made? */
bool changes_is_removed(const char *kind, const char *id)
{
	pthread_mutex_lock(&lock);
	bool removed = find(CHANGE_REMOVED, kind, id) != NULL;
	pthread_mutex_unlock(&lock);
	return removed;
}

/** changes_set_command() - say more exactly how @c is made */
void changes_set_command(const struct change *c, const char *command)
{
	pthread_mutex_lock(&lock);
	struct change *mine = same(c);
	char *copy = mine ? strdup(command) : NULL;
	if (copy) {
		free(mine->command);
		mine->command = copy;
	}
	pthread_mutex_unlock(&lock);
}

/** changes_set_value() - a value that was found by query */
void changes_set_value(const char *kind, const char *id, const char *command)
{
	pthread_mutex_lock(&lock);
	drop(find(CHANGE_VALUE, kind, id));
	if (!command || add(CHANGE_VALUE, kind, id, command, true))
		log_warn("%s %s: no memory to remember it", kind, id);
	pthread_mutex_unlock(&lock);
}

/** changes_has_value() - was such a value set? */
bool changes_has_value(const char *kind, const char *id)
{
	pthread_mutex_lock(&lock);
	bool has = find(CHANGE_VALUE, kind, id) != NULL;
	pthread_mutex_unlock(&lock);
	return has;
}

/** changes_added_drive() - was the drive added while the VM ran, with this file (NULL: without one)? */
bool changes_added_drive(const char *id, const char *file)
{
	pthread_mutex_lock(&lock);
	const struct change *c = find(CHANGE_ADDED, "drive", id);
	bool has = c && (file ? strstr(c->command, file) != NULL : !strstr(c->command, "file="));
	pthread_mutex_unlock(&lock);
	return has;
}

/** changes_get() - what the command that added a device says about a key. Return: false where it was not added. */
bool changes_get(const char *device, const char *key, char *ret, size_t size)
{
	pthread_mutex_lock(&lock);
	const struct change *c = find(CHANGE_ADDED, "device", device);
	json_t *command = c ? json_loads(c->command, 0, NULL) : NULL;
	pthread_mutex_unlock(&lock);
	const json_t *arguments = json_object_get(command, "arguments");
	const char *value = json_string_value(json_object_get(arguments, key));
	const char *line = json_string_value(json_object_get(arguments, "command-line"));

	if (line ? !optvalue_get(line, key, ret, size) : !value)
		snprintf(ret, size, "%s", "");
	else if (value)
		snprintf(ret, size, "%s", value);
	json_decref(command);
	return command != NULL;
}

/** changes_was_deleted() - did QEMU say in this program that the device is gone? */
bool changes_was_deleted(const char *device)
{
	pthread_mutex_lock(&lock);
	bool gone = json_object_get(deleted, device) != NULL;
	pthread_mutex_unlock(&lock);
	return gone;
}

/** changes_is_unplugging() - was the guest asked to let the device go, and has not? */
bool changes_is_unplugging(const char *device)
{
	pthread_mutex_lock(&lock);
	bool waits = json_object_get(unplugging, device) != NULL;
	pthread_mutex_unlock(&lock);
	return waits;
}

/** changes_put() - write them into the state */
void changes_put(struct codec_writer *w)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count; i++) {
		if (changes[i].gone)
			continue;
		cprstate_put_change(w, &(struct cpr_change){ .what = (uint32_t)changes[i].what,
							     .kind = changes[i].kind,
							     .id = changes[i].id,
							     .command = changes[i].command });
	}
	pthread_mutex_unlock(&lock);
}

/** changes_adopt() - take over what the program before has written. Return: 0 or a negative errno. */
int changes_adopt(const struct cprstate *state)
{
	int rc = 0;

	changes_watch();
	pthread_mutex_lock(&lock);
	for (uint32_t i = 0; !rc && i < state->change_count; i++) {
		const struct cpr_change *c = &state->change[i];

		rc = add((enum change_what)c->what, c->kind, c->id, c->command, false);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}
