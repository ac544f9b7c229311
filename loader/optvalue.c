/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* optvalue.c - the argument of an option of QEMU's; see optvalue.h. */
#include "optvalue.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_on(const char *value)
{
	return !strcmp(value, "on") || !strcmp(value, "yes") || !strcmp(value, "true") || !strcmp(value, "y");
}

static bool json_value(const char *text, const char *key, char *ret, size_t size)
{
	json_t *object = json_loads(text, 0, NULL);
	const json_t *value = json_object_get(object, key);
	bool found = value != NULL;

	if (json_is_string(value))
		snprintf(ret, size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		snprintf(ret, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else
		snprintf(ret, size, "%s", json_is_true(value) ? "on" : "off");
	json_decref(object);
	return found;
}

/* Copies up to a comma that is not doubled, which stands for one; returns what is behind it, or NULL at the end. */
static const char *copy_part(const char *at, char *ret, size_t size)
{
	size_t n = 0;

	for (; *at && (*at != ',' || at[1] == ','); at++) {
		at += *at == ',';
		if (n + 1 < size)
			ret[n++] = *at;
	}
	ret[n] = '\0';
	return *at ? at + 1 : NULL;
}

/**
 * optvalue_get() - what an option's argument says about a key
 * @text: the argument
 * @key:  the key; "" for a first part that names none
 * @ret:  the value, cut to @size; a key alone is on
 *
 * The last one counts, as it does with QEMU.
 *
 * Return: false where the key does not occur.
 */
bool optvalue_get(const char *text, const char *key, char *ret, size_t size)
{
	bool found = false, first = true;
	char part[1024];

	if (text[0] == '{')
		return *key && json_value(text, key, ret, size);
	for (const char *at = text; at; first = false) {
		at = copy_part(at, part, sizeof(part));
		char *equals = strchr(part, '=');
		if (equals)
			*equals = '\0';
		if (first && !equals && !*key)
			snprintf(ret, size, "%s", part);
		else if (*key && !strcmp(part, key))
			snprintf(ret, size, "%s", equals ? equals + 1 : "on");
		else
			continue;
		found = true;
	}
	return found;
}

/**
 * optvalue_without() - an option's argument without some of its keys
 * @text: the argument, no JSON
 * @keys: their names, ended by NULL; "" for a first part that names none
 *
 * Return: malloc'ed, or NULL where memory ran out.
 */
char *optvalue_without(const char *text, const char *const keys[])
{
	char *out = calloc(1, strlen(text) + 1), *to = out, part[1024];
	bool first = true;

	for (const char *at = text, *next; out && at; at = next, first = false) {
		bool drop = false;

		next = copy_part(at, part, sizeof(part));
		size_t len = next ? (size_t)(next - at) - 1 : strlen(at);
		char *equals = strchr(part, '=');
		if (equals)
			*equals = '\0';
		for (size_t i = 0; keys[i]; i++)
			drop |= *keys[i] ? !strcmp(part, keys[i]) : first && !equals;
		if (drop)
			continue;
		if (to > out)
			*to++ = ',';
		memcpy(to, at, len);
		to += len;
	}
	return out;
}

/** optvalue_on() - is this key one that is on? */
bool optvalue_on(const char *text, const char *key)
{
	char value[16];

	return optvalue_get(text, key, value, sizeof(value)) && is_on(value);
}

/** optvalue_escape() - a value as it stands in an option's argument, its commas doubled; malloc'ed, or NULL */
char *optvalue_escape(const char *value)
{
	char *out = malloc(2 * strlen(value) + 1), *at = out;

	for (; out && *value; value++) {
		if (*value == ',')
			*at++ = ',';
		*at++ = *value;
	}
	if (out)
		*at = '\0';
	return out;
}

/**
 * optvalue_type() - what an option makes: its type by name, or the first part of its argument
 * @text: the argument
 * @ret:  the type, cut to @size; "" where it has none
 */
void optvalue_type(const char *text, char *ret, size_t size)
{
	static const char *const names[] = { "type", "driver", "qom-type", "backend", "" };

	ret[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (optvalue_get(text, names[i], ret, size))
			break;
	/* "telnet:host:port" */
	if (strncmp(ret, "/dev/", 5) != 0)
		ret[strcspn(ret, ":")] = '\0';
}
