/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reasons.c - lists of sentences; see reasons.h. */
#include "reasons.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_MAX 1024

#define BLOCKER(name, code, why, do) { code, why, do },
static const struct {
	const char *code, *why, *what_to_do;
} blockers[] = {
	{ "", "", "" },
#include "blockers.def"
};
#undef BLOCKER

static bool has(const json_t *list, const char *text)
{
	const json_t *old;
	size_t i;

	json_array_foreach(list, i, old)
		if (!strcmp(json_string_value(old), text))
			return true;
	return false;
}

/* Return: false where it stands there already. */
static bool add_sentence(struct reasons *r, const char *text)
{
	if (!r->list)
		r->list = json_array();
	if (has(r->list, text))
		return false;
	json_array_append_new(r->list, json_string(text));
	return true;
}

/* Control characters become spaces. Text of another program's may be no UTF-8; that it is there must not be lost over it. */
static void clean(char *text)
{
	json_t *string;

	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	string = json_string(text);
	if (!string)
		snprintf(text, SENTENCE_MAX, "a reason that is no valid text");
	json_decref(string);
}

static void add(struct reasons *r, enum blocker blocker, char what[SENTENCE_MAX])
{
	char text[2 * SENTENCE_MAX];

	clean(what);
	snprintf(text, sizeof(text), "%s: %s", what, blockers[blocker].what_to_do);
	if (!add_sentence(r, text))
		return;
	if (!r->blockers)
		r->blockers = json_array();
	json_array_append_new(r->blockers,
			      json_pack("{s:s, s:s, s:s, s:s}", "code", blockers[blocker].code, "what", what, "why",
					blockers[blocker].why, "do", blockers[blocker].what_to_do));
}

/**
 * reasons_add() - add a reason, unless it stands there already
 * @r:	     the list
 * @blocker: which one it is
 * @format:  what it is in this case; control characters in it become spaces
 */
void reasons_add(struct reasons *r, enum blocker blocker, const char *format, ...)
{
	char what[SENTENCE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	add(r, blocker, what);
}

/** reasons_note() - add a sentence that is no reason but a warning, unless it stands there already */
void reasons_note(struct reasons *r, const char *format, ...)
{
	char text[SENTENCE_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	clean(text);
	add_sentence(r, text);
}

/** reasons_forget() - leave one out, of a list without warnings: in this case it does not block */
void reasons_forget(struct reasons *r, enum blocker blocker)
{
	for (size_t i = json_array_size(r->blockers); i-- > 0;) {
		const char *code = json_string_value(json_object_get(json_array_get(r->blockers, i), "code"));

		if (strcmp(code, blockers[blocker].code) != 0)
			continue;
		json_array_remove(r->blockers, i);
		json_array_remove(r->list, i);
	}
}

/** reasons_any() - is there one? */
bool reasons_any(const struct reasons *r)
{
	return r->list && json_array_size(r->list);
}

/** reasons_json() - the sentences as JSON, a new reference */
json_t *reasons_json(const struct reasons *r)
{
	return r->list ? json_incref(r->list) : json_array();
}

/** reasons_blockers() - the reasons in their parts: list of "code", "what", "why" and "do", a new reference */
json_t *reasons_blockers(const struct reasons *r)
{
	return r->blockers ? json_incref(r->blockers) : json_array();
}

/** reasons_free() - forget them */
void reasons_free(struct reasons *r)
{
	json_decref(r->list);
	json_decref(r->blockers);
	r->list = r->blockers = NULL;
}

/** reasons_move() - add all of @from to @to, and end @from */
void reasons_move(struct reasons *to, struct reasons *from)
{
	const json_t *item;
	size_t i;

	json_array_foreach(from->list, i, item) {
		if (!add_sentence(to, json_string_value(item)) || i >= json_array_size(from->blockers))
			continue;
		if (!to->blockers)
			to->blockers = json_array();
		json_array_append(to->blockers, json_array_get(from->blockers, i));
	}
	reasons_free(from);
}

/**
 * reasons_move_as() - add all of @from to @to as reasons of another kind, and end @from
 * @to:	     the list
 * @blocker: what they are there
 * @prefix:  before what each is
 * @from:    reasons, none of them a warning
 */
void reasons_move_as(struct reasons *to, enum blocker blocker, const char *prefix, struct reasons *from)
{
	const json_t *item;
	size_t i;

	json_array_foreach(from->blockers, i, item)
		reasons_add(to, blocker, "%s%s", prefix, json_string_value(json_object_get(item, "what")));
	reasons_free(from);
}
