/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* columns.h - rows of text under headings, each column as wide as it has to be. */
#ifndef CPRSHIM_CTL_COLUMNS_H
#define CPRSHIM_CTL_COLUMNS_H

#include <stddef.h>
#include <stdio.h>

#include "text.h"

/**
 * struct cell - one of them
 * @text:  escaped
 * @color: TEXT_PLAIN unless columns_color() said otherwise
 */
struct cell {
	char *text;
	enum text_color color;
};

/**
 * struct columns - cells, row by row
 * @count:	columns
 * @cells:	the cells
 * @used:	cells in use
 * @room:	cells there is memory for
 * @error:	0, or the negative errno of the first cell that could not be added
 */
struct columns {
	size_t count;
	struct cell *cells;
	size_t used;
	size_t room;
	int error;
};

void columns_add(struct columns *c, const char *text);
void columns_add_escaped(struct columns *c, char *cell);
void columns_addf(struct columns *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void columns_row(struct columns *c, const char *const *texts);
void columns_color(const struct columns *c, enum text_color color);
int columns_print(const struct columns *c, FILE *out);
void columns_free(struct columns *c);

#endif
