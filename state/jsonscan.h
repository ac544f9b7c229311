/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * jsonscan.h - finds where a JSON value ends in a stream of bytes, and nothing else.
 *
 * QMP has no framing: a message ends where its outermost brace closes. A monitor connection is handed over between two
 * messages, so the shim must know, for each byte that QEMU has read, whether it was a message's last one. Parsing
 * proper is jansson's. The scanner follows QEMU's lexer and streamer (qobject/json-lexer.c, json-streamer.c), also in
 * what they take for a string and in how they come back from a client's mistake: an error ends the message, whatever is
 * still open in it.
 */
#ifndef CPRSHIM_STATE_JSONSCAN_H
#define CPRSHIM_STATE_JSONSCAN_H

#include <stdbool.h>
#include <stdint.h>

struct jsonscan {
	int32_t braces; /* that are open */
	int32_t brackets;
	uint8_t state; /* of the lexer, 0 between two tokens */
	char quote;    /* the quote that ends the string we are in */
	bool started;  /* a byte of a value has been seen since the last one ended */
};

enum jsonscan_result { JSONSCAN_MORE, JSONSCAN_END };

enum jsonscan_result jsonscan_feed(struct jsonscan *scan, char byte);

#endif
