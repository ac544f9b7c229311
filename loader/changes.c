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
#include "fdnames.h"
#include "optvalue.h"
#include "requests.h"
#include "watched.h"

/* Monitors' thread and the main thread change the list, the service thread looks. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
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
	if (old && !strcmp(w->kind, "action")) {
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

/**
 * changes_take() - a command was given, and went well
 * @w:	     what it does
 * @id:	     of what
 * @command: as a successor is to be told it; may be changed
 */
void changes_take(const struct watched *w, const char *id, json_t *command)
{
	pthread_mutex_lock(&lock);
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
	pthread_mutex_unlock(&lock);
}

/** changes_watch() - begin to watch; before main() */
void changes_watch(void)
{
	deleted = json_object();
	unplugging = json_object();
	requests_watch();
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

/** changes_uses_descriptor() - was something of this kind added that has this descriptor by its number? */
bool changes_uses_descriptor(const char *kind, int number)
{
	bool uses = false;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < count && !uses; i++) {
		if (changes[i].what != CHANGE_ADDED || changes[i].gone || strcmp(changes[i].kind, kind) != 0)
			continue;
		json_t *command = json_loads(changes[i].command, 0, NULL);
		uses = fdnames_has_number(json_object_get(command, "arguments"), number);
		json_decref(command);
	}
	pthread_mutex_unlock(&lock);
	return uses;
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
