/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* functions.h - where the functions of a file begin and end, by its unwinding tables and its symbols. */
#ifndef CPRSHIM_AUDIT_FUNCTIONS_H
#define CPRSHIM_AUDIT_FUNCTIONS_H

#include "elfobject.h"

/**
 * struct function - a stretch of code that is entered at its beginning
 * @start:	address
 * @size:	bytes
 * @reach:	where this one and all before it have ended
 * @lands:	it may be entered in its middle: by an exception, or since nothing is known about it
 * @gap:	what is behind its end is looked at as well, code or data
 */
struct function {
	uint64_t start, size, reach;
	bool lands, gap;
};

/**
 * struct functions - those of a file, for functions_free()
 * @items:	by address; they may overlap
 * @count:	how many
 * @room:	how many there is memory for
 * @error:	0, or the negative errno of the first that could not be added
 */
struct functions {
	struct function *items;
	size_t count, room;
	int error;
};

int functions_read(const struct elfobject *obj, struct functions *ret);
bool functions_around(const struct functions *functions, uint64_t address, struct function *ret);
void functions_gap(const struct functions *functions, uint64_t address, struct function *ret);
void functions_free(struct functions *functions);

#endif
