/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * columns.c - rows of text under headings, each column as wide as it has to be.
 *
 * Adding a cell does not fail; the first error is kept and columns_print() returns it.
 */
#include "columns.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* One overlong cell, which a VMM may send, must not push every other row off the screen. */
#define WIDTH_MAX 64

/**
 * columns_add_escaped() - add the next cell, from text that is fit to print
 * @c:	  the columns, with count set and the rest 0 at first
 * @cell: what text_escaped() gave; it belongs to the columns now. NULL counts as memory being short
 */
void columns_add_escaped(struct columns *c, char *cell)
{
	if (!cell || c->error) {
		c->error = c->error ? c->error : -ENOMEM;
		free(cell);
		return;
	}
	if (c->used == c->room) {
		size_t room = c->room ? 2 * c->room : 64;
		struct cell *cells = reallocarray(c->cells, room, sizeof(*cells));

		if (!cells) {
			c->error = -ENOMEM;
			free(cell);
			return;
		}
		c->cells = cells;
		c->room = room;
	}
	c->cells[c->used++] = (struct cell){ .text = cell };
}

/**
 * columns_add() - add the next cell
 * @c:	  the columns
 * @text: any text; it is escaped here
 */
void columns_add(struct columns *c, const char *text)
{
	columns_add_escaped(c, text_escaped(text, strlen(text)));
}

/**
 * columns_addf() - add the next cell, formatted
 * @c:	    the columns
 * @format: as for printf()
 */
void columns_addf(struct columns *c, const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0) {
		columns_add_escaped(c, NULL);
		return;
	}
	columns_add(c, text);
	free(text);
}

/**
 * columns_color() - have the cell that was added last shown in a colour, where there are any
 * @c:	   the columns
 * @color: the colour
 */
void columns_color(const struct columns *c, enum text_color color)
{
	if (c->used)
		c->cells[c->used - 1].color = color;
}

/**
 * columns_row() - add a whole row, such as the headings
 * @c:	   the columns
 * @texts: as many as there are columns
 */
void columns_row(struct columns *c, const char *const *texts)
{
	for (size_t i = 0; i < c->count; i++)
		columns_add(c, texts[i]);
}

static size_t column_width(const struct columns *c, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < c->used; i += c->count) {
		size_t w = text_width(c->cells[i].text);

		if (w > width && w <= WIDTH_MAX)
			width = w;
	}
	return width;
}

/**
 * columns_print() - print all rows
 * @c:	 the columns, with whole rows
 * @out: where to
 *
 * Return: 0, or -ENOMEM where the rows are not complete; nothing is printed then.
 */
int columns_print(const struct columns *c, FILE *out)
{
	size_t *width;

	if (c->error)
		return c->error;
	width = calloc(c->count, sizeof(*width));
	if (!width)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++)
		width[i] = column_width(c, i);
	for (size_t i = 0; i < c->used; i++) {
		size_t column = i % c->count;
		size_t w = text_width(c->cells[i].text);

		if (c->cells[i].color == TEXT_PLAIN)
			fputs(c->cells[i].text, out);
		else
			fprintf(out, "%s%s%s", text_color(out, c->cells[i].color), c->cells[i].text,
				text_color(out, TEXT_PLAIN));
		if (column == c->count - 1)
			fputc('\n', out);
		else
			fprintf(out, "%*s", (int)(w < width[column] ? width[column] - w : 0) + 2, "");
	}
	free(width);
	return 0;
}

/**
 * columns_free() - give the memory back
 * @c: the columns
 */
void columns_free(struct columns *c)
{
	for (size_t i = 0; i < c->used; i++)
		free(c->cells[i].text);
	free(c->cells);
}
