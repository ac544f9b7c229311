/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reasons.h - why something cannot be done: all of it at once, one sentence each, for whoever asked.
 *
 * Each reason is a blocker of blockers.def, by whose code a program tells it: what it is in this case, why it blocks,
 * and what to do. Warnings are sentences alone.
 */
#ifndef CPRSHIM_LOADER_REASONS_H
#define CPRSHIM_LOADER_REASONS_H

#include <jansson.h>
#include <stdbool.h>

#define BLOCKER(name, code, why, do) BLOCKER_##name,
enum blocker {
	BLOCKER_NONE,
#include "blockers.def"
};
#undef BLOCKER

/**
 * struct reasons - a list; init with REASONS_INIT, end with reasons_free()
 * @list:     sentences: what it is, and what to do
 * @blockers: the same in parts, for all that are no mere warnings
 */
struct reasons {
	json_t *list;
	json_t *blockers;
};

#define REASONS_INIT                           \
	{                                      \
		.list = NULL, .blockers = NULL \
	}

void reasons_add(struct reasons *r, enum blocker blocker, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void reasons_note(struct reasons *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void reasons_move(struct reasons *to, struct reasons *from);
void reasons_move_as(struct reasons *to, enum blocker blocker, const char *prefix, struct reasons *from);
void reasons_forget(struct reasons *r, enum blocker blocker);
bool reasons_any(const struct reasons *r);
json_t *reasons_json(const struct reasons *r);
json_t *reasons_blockers(const struct reasons *r);
void reasons_free(struct reasons *r);

#endif
