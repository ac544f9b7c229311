/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reasons.h - why something cannot be done: all of it at once, one sentence each, for whoever asked. */
#ifndef CPRSHIM_LOADER_REASONS_H
#define CPRSHIM_LOADER_REASONS_H

#include <jansson.h>
#include <stdbool.h>

/* A list of sentences; init with REASONS_INIT, end with reasons_free(). */
struct reasons {
	json_t *list;
};

#define REASONS_INIT         \
	{                    \
		.list = NULL \
	}

void reasons_add(struct reasons *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reasons_move(struct reasons *to, struct reasons *from);
bool reasons_any(const struct reasons *r);
json_t *reasons_json(const struct reasons *r);
void reasons_free(struct reasons *r);

#endif
