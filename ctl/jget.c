/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* jget.c - members of a JSON object whose sender may have put anything there. */
#include "jget.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/**
 * jget_text_or() - a member that should be text
 * @object:    an object, or anything else, or NULL
 * @key:       the member
 * @otherwise: what to say where it is none
 *
 * Return: the text, not escaped.
 */
const char *jget_text_or(const json_t *object, const char *key, const char *otherwise)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : otherwise;
}

/**
 * jget_text() - the same, "-" where it is none
 * @object: an object, or anything else, or NULL
 * @key:    the member
 *
 * Return: the text, not escaped.
 */
const char *jget_text(const json_t *object, const char *key)
{
	return jget_text_or(object, key, "-");
}

/**
 * jget_new_text() - a text as JSON
 * @text: any text, or NULL
 *
 * Return: the value, null for NULL; NULL where memory is short. A path may be any bytes, JSON is UTF-8: then it is escaped.
 */
json_t *jget_new_text(const char *text)
{
	json_t *value;
	char *escaped;

	if (!text)
		return json_null();
	value = json_string(text);
	if (value)
		return value;
	escaped = text_escaped(text, strlen(text));
	value = escaped ? json_string(escaped) : NULL;
	free(escaped);
	return value;
}

/**
 * jget_print() - print a value as JSON on standard output
 * @value: the value, or NULL
 *
 * All but ASCII is escaped: JSON itself lets C1 control characters pass, which terminals obey.
 *
 * Return: 0, or -ENOMEM.
 */
int jget_print(const json_t *value)
{
	/* 15 digits: 8.7 stays 8.7 */
	if (value && json_dumpf(value, stdout,
				JSON_INDENT(2) | JSON_SORT_KEYS | JSON_ENSURE_ASCII | JSON_ENCODE_ANY |
					JSON_REAL_PRECISION(15))) {
		text_error("cannot print the answer: out of memory");
		return -ENOMEM;
	}
	puts(value ? "" : "null");
	return 0;
}
