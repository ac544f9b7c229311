/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* jsonscan.c - finds where a JSON value ends; see jsonscan.h. */
#include "jsonscan.h"

static void in_string(struct jsonscan *scan, char byte)
{
	if (scan->escaped)
		scan->escaped = false;
	else if (byte == '\\')
		scan->escaped = true;
	else if (byte == scan->quote)
		scan->quote = 0;
}

/**
 * jsonscan_feed() - take one byte
 * @scan: all-zero at first
 * @byte: the next byte of the stream
 *
 * Only objects and arrays count as values: QMP sends nothing else. White space between them is no part of any.
 *
 * Return: JSONSCAN_END if the byte ends an outermost object or array.
 */
enum jsonscan_result jsonscan_feed(struct jsonscan *scan, char byte)
{
	if (scan->quote) {
		in_string(scan, byte);
		return JSONSCAN_MORE;
	}
	switch (byte) {
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		return JSONSCAN_MORE;
	case '"':
	case '\'':
		scan->quote = byte;
		break;
	case '{':
	case '[':
		scan->depth++;
		break;
	case '}':
	case ']':
		if (scan->depth && !--scan->depth) {
			scan->started = false;
			return JSONSCAN_END;
		}
		break;
	default:
		break;
	}
	scan->started = true;
	return JSONSCAN_MORE;
}
