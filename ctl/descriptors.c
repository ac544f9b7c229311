/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* descriptors.c - a VM's descriptor table, for people and as JSON. The table is a private copy that was checked. */
#include "descriptors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "addr.h"
#include "columns.h"
#include "jget.h"

/* Return: the plan's entries by descriptor number, for free(); the entries belong to @plan. */
static const json_t **plan_by_fd(const json_t *plan)
{
	const json_t **by_fd = calloc(FDTABLE_SLOTS, sizeof(json_t *));
	const json_t *entry;
	size_t i;

	if (!by_fd)
		return NULL;
	json_array_foreach(plan, i, entry) {
		const json_t *number = json_object_get(entry, "fd");
		json_int_t fd = json_integer_value(number);

		if (json_is_integer(number) && fd >= 0 && fd < (json_int_t)FDTABLE_SLOTS)
			by_fd[fd] = entry;
	}
	return by_fd;
}

static void add_row(struct columns *c, int fd, const struct fdrec *rec, const json_t *planned)
{
	columns_addf(c, "%d", fd);
	if (rec) {
		columns_add(c, fdkind_text(rec->kind));
		columns_add(c, fdorigin_text(rec->origin));
		columns_add(c, jget_text(planned, "action"));
		columns_add_escaped(c, addr_detail(rec));
	} else {
		columns_add(c, jget_text(planned, "kind"));
		columns_add(c, "-");
		columns_add(c, jget_text(planned, "action"));
		columns_add(c, jget_text_or(planned, "detail", ""));
	}
}

/**
 * descriptors_print() - print the table
 * @table: the table
 * @plan:  what an update would do with each descriptor (docs/control-protocol.md), or NULL; it may name more of them
 *
 * Return: 0, or -ENOMEM.
 */
int descriptors_print(const struct fdtable *table, const json_t *plan)
{
	static const char *const headings[] = { "FD", "KIND", "ORIGIN", "ACTION", "DETAIL" };
	struct columns c = { .count = sizeof(headings) / sizeof(headings[0]) };
	const json_t **planned = plan_by_fd(plan);
	int err;

	if (!planned)
		return -ENOMEM;
	columns_row(&c, headings);
	for (int fd = 0; fd < (int)FDTABLE_SLOTS; fd++) {
		const struct fdrec *rec = fdtable_get(table, fd);

		if (rec || planned[fd])
			add_row(&c, fd, rec, planned[fd]);
	}
	err = columns_print(&c, stdout);
	columns_free(&c);
	free(planned);
	return err;
}

static json_t *flags_json(unsigned int flags)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} names[] = {
		{ FDREC_CLOEXEC, "cloexec" },
		{ FDREC_INHERITED, "inherited" },
		{ FDREC_LISTENING, "listening" },
		{ FDREC_SCM, "received" },
	};
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (flags & names[i].bit)
			json_array_append_new(list, json_string(names[i].name));
	}
	return list;
}

static json_t *record_json(int fd, const struct fdrec *rec)
{
	char *detail = addr_detail(rec);
	json_t *object;

	object = json_pack("{s:i, s:s, s:s, s:s?, s:i, s:o, s:I}", "fd", fd, "kind", fdkind_text(rec->kind), "origin",
			   fdorigin_text(rec->origin), "detail", detail, "parent", (int)rec->parent, "flags",
			   flags_json(rec->flags), "seq", (json_int_t)rec->seq);
	free(detail);
	return object;
}

/**
 * descriptors_json() - the table as a list of objects
 * @table: the table
 *
 * Return: a new reference, NULL where memory is short.
 */
json_t *descriptors_json(const struct fdtable *table)
{
	json_t *list = json_array();

	for (int fd = 0; fd < (int)FDTABLE_SLOTS; fd++) {
		const struct fdrec *rec = fdtable_get(table, fd);

		if (rec && json_array_append_new(list, record_json(fd, rec))) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}
