/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reasons.c - lists of sentences; see reasons.h. */
#include "reasons.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE_MAX 1024

/** reasons_add() - add a sentence, unless it stands there already; control characters in it become spaces */
void reasons_add(struct reasons *r, const char *format, ...)
{
	char text[SENTENCE_MAX];
	size_t i;
	json_t *old;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	if (!r->list)
		r->list = json_array();
	json_array_foreach(r->list, i, old)
		if (!strcmp(json_string_value(old), text))
			return;
	json_t *sentence = json_string(text);
	/* Text of another program's may be no UTF-8; that there is a reason must not be lost over it. */
	json_array_append_new(r->list, sentence ? sentence : json_string("a reason that is no valid text"));
}

/** reasons_any() - is there one? */
bool reasons_any(const struct reasons *r)
{
	return r->list && json_array_size(r->list);
}

/** reasons_json() - the list as JSON, a new reference */
json_t *reasons_json(const struct reasons *r)
{
	return r->list ? json_incref(r->list) : json_array();
}

/** reasons_free() - forget them */
void reasons_free(struct reasons *r)
{
	json_decref(r->list);
	r->list = NULL;
}

/** reasons_move() - add all of @from to @to, and end @from */
void reasons_move(struct reasons *to, struct reasons *from)
{
	const json_t *sentence;
	size_t i;

	json_array_foreach(from->list, i, sentence)
		reasons_add(to, "%s", json_string_value(sentence));
	reasons_free(from);
}
