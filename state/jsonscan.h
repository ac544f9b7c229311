/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * jsonscan.h - finds where a JSON value ends in a stream of bytes, and nothing else.
 *
 * QMP has no framing: a message ends where its outermost brace closes. A monitor connection is handed over between two
 * messages, so the shim must know, for each byte that QEMU has read, whether it was a message's last one. Parsing proper is
 * jansson's. The scanner follows QEMU's lexer in what it takes for a string: both quotes may delimit one (qobject/json-lexer.c).
 */
#ifndef CPRSHIM_STATE_JSONSCAN_H
#define CPRSHIM_STATE_JSONSCAN_H

#include <stdbool.h>
#include <stdint.h>

struct jsonscan {
	uint32_t depth;
	char quote; /* the quote that ends the string we are in, or 0 */
	bool escaped;
	bool started; /* a byte of a value has been seen since the last one ended */
};

enum jsonscan_result { JSONSCAN_MORE, JSONSCAN_END };

enum jsonscan_result jsonscan_feed(struct jsonscan *scan, char byte);

#endif
