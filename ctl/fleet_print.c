/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet_print.c - VMs under the shim, a row for each. */
#include <stdio.h>
#include <string.h>

#include "columns.h"
#include "fleet.h"
#include "jget.h"

static const char *outdated_text(const json_t *outdated)
{
	if (!json_is_boolean(outdated))
		return "-";
	return json_is_true(outdated) ? "yes" : "no";
}

/* A distribution's fix changes the package's version and not QEMU's own: then that is said. */
static void add_version(struct columns *c, const json_t *one, const json_t *other)
{
	const char *version = jget_text(one, "version"), *package = jget_text_or(one, "package", "");

	if (*package && !strcmp(version, jget_text(other, "version")))
		columns_addf(c, "%s (%s)", version, package);
	else
		columns_add(c, version);
}

static void add_note(struct columns *c, const json_t *row)
{
	const json_t *changed = json_object_get(row, "changed"), *first = json_array_get(changed, 0);
	const char *note = jget_text_or(row, "note", ""), *between = *note && first ? "; " : "";
	size_t more = json_array_size(changed);

	if (!first)
		columns_add(c, note);
	else if (more == 1)
		columns_addf(c, "%s%sreplaced on disk: %s", note, between, jget_text(first, "path"));
	else
		columns_addf(c, "%s%sreplaced on disk: %s and %zu more", note, between, jget_text(first, "path"),
			     more - 1);
}

/**
 * fleet_print() - print what cprctl list tells, for people
 * @rows: a list of fleet_rows()
 *
 * Return: 0, or -ENOMEM.
 */
int fleet_print(const json_t *rows)
{
	static const char *const headings[] = { "PID", "NAME", "VERSION", "OUTDATED", "AVAILABLE", "BINARY", "NOTE" };
	struct columns c = { .count = sizeof(headings) / sizeof(headings[0]) };
	const json_t *row;
	size_t i;
	int err;

	columns_row(&c, headings);
	json_array_foreach(rows, i, row) {
		const json_t *available = json_object_get(row, "available"),
			     *outdated = json_object_get(row, "outdated");

		columns_addf(&c, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(row, "pid")));
		columns_add(&c, jget_text(row, "name"));
		add_version(&c, row, available);
		columns_add(&c, outdated_text(outdated));
		columns_color(&c, json_is_true(outdated)    ? TEXT_WARNING
				  : json_is_false(outdated) ? TEXT_GOOD
							    : TEXT_PLAIN);
		add_version(&c, available, row);
		columns_add(&c, jget_text(row, "binary"));
		add_note(&c, row);
	}
	err = columns_print(&c, stdout);
	columns_free(&c);
	return err;
}
