/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* jget.c - members of a JSON object whose sender may have put anything there. */
#include "jget.h"

#include <errno.h>

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
