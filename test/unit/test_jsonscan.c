/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_jsonscan.c - where JSON values end, by QEMU's rules; what was seen with QEMU 7.2 itself is marked so. */
#include "state/jsonscan.h"

#include "test/unit/tap.h"

#include <string.h>

/*
 * Does a value end with each byte that a '^' follows in @text, and with no other? Is something unfinished at its end?
 */
static bool scan_is(const char *text, bool unfinished)
{
	struct jsonscan scan = { 0 };

	for (const char *at = text; *at; at++) {
		bool expected = at[1] == '^';

		if ((jsonscan_feed(&scan, *at) == JSONSCAN_END) != expected) {
			tap_diag("%s: byte %td", text, at - text);
			return false;
		}
		at += expected;
	}
	return scan.started == unfinished;
}

static void test_values(void)
{
	ok(scan_is("{}^", false), "an empty object");
	ok(scan_is("{\"a\": {\"b\": [1, {}]}}^", false), "nested objects and arrays");
	ok(scan_is("[[], [[]]]^", false), "nested arrays");
	ok(scan_is("{\"a\": \"}\"}^", false), "a brace in a string");
	ok(scan_is("{\"a\": \"\\\"}\"}^", false), "an escaped quote in a string");
	ok(scan_is("{\"a\": \"\\\\\"}^", false), "an escaped backslash at a string's end");
	ok(scan_is("{\"a\": \"\\u007d\"}^", false), "a brace by its number");
	ok(scan_is("{'a': '}\"'}^", false), "single quotes, with a double one inside");
	ok(scan_is("{\"a\": \"it's }\"}^", false), "a single quote inside double ones");
	ok(scan_is("{'a': '\\'}'}^", false), "an escaped single quote");
	ok(scan_is("{\"a\": -1.5e+3, \"b\": true, \"c\": null, \"d\": 0, \"e\":10E5}^", false), "numbers and words");
	ok(scan_is("{\"a\": \"\xc3\xa4\xf0\x9f\x98\x80\"}^", false), "bytes beyond ASCII in a string");
	ok(scan_is("{}^{}^\r\n []^ {\"x\":1}^\n", false), "several values");
	ok(scan_is("", false) && scan_is(" \r\n\t ", false), "white space is nothing");
	ok(scan_is("{}^\n{\"execute\":", true), "a value that is not finished");
}

/* Each one marked so made QEMU 7.2 answer as many times as a value ends here. */
static void test_mistakes(void)
{
	ok(scan_is("}^\n", false), "a closing brace by itself [seen]");
	ok(scan_is("]^\n", false), "a closing bracket by itself [seen]");
	ok(scan_is(",^\n", false), "a comma by itself [seen]");
	ok(scan_is("\"abc\"^\n", false), "a string by itself [seen]");
	ok(scan_is("5 ^6\n^", false), "numbers by themselves [seen]");
	ok(scan_is("true\n^", false), "a word by itself [seen]");
	ok(scan_is("{]^\n{}^", false), "brackets that do not match [seen]");
	ok(scan_is("{[}}^\n{}^", false), "an object closed in an array [seen]");
	ok(scan_is("{{]^{}^", false), "what was open is forgotten with the error");
	ok(scan_is("{\"a\":\f^ {}^", false), "a control character in a message [seen]");
	ok(scan_is("{\"a\": [\xff^{}^", false), "0xff, by which a client starts anew");
	ok(scan_is("{\"a\": 01^2 {}^", false), "a number with a leading zero");
	ok(scan_is("{\"a\": -x^ {}^", false), "a minus without a number");
	ok(scan_is("{\"a\": 1.}^", false), "a point without digits");
	ok(scan_is("{A^ b \"c\" {}^", false), "after an error all is skipped up to a brace");
	ok(scan_is("{\"a\": \"b\n^{}^", false), "a line's end in a string");
}

static void test_depth(void)
{
	struct jsonscan scan = { 0 };
	unsigned int ends = 0;

	for (int i = 0; i < 1024; i++)
		ends += jsonscan_feed(&scan, '[') == JSONSCAN_END;
	ok(!ends && scan.started, "1024 arrays in each other are taken");
	ok(jsonscan_feed(&scan, '[') == JSONSCAN_END && !scan.started, "one more ends it");
	ends = 0;
	for (int i = 0; i < 5000000; i++)
		ends += jsonscan_feed(&scan, '{') == JSONSCAN_END;
	ok(ends == 5000000 / 1025, "and so on for ever");
}

/* It is the same whatever pieces the bytes come in, and a copy of the scanner goes on like the scanner. */
static void test_split(void)
{
	static const char text[] = "{\"a\": '\\'}', \"b\": [{\"c\": \"]\\\\\"}, -0.5e1]}\n{ } ";
	bool same = true;

	for (size_t split = 0; split < sizeof(text) - 1; split++) {
		struct jsonscan first = { 0 }, rest;
		unsigned int ends = 0;

		for (size_t i = 0; i < split; i++)
			ends += jsonscan_feed(&first, text[i]) == JSONSCAN_END;
		rest = first;
		for (size_t i = split; i < sizeof(text) - 1; i++)
			ends += jsonscan_feed(&rest, text[i]) == JSONSCAN_END;
		/* Between two messages, and only there, is nothing started. */
		size_t end = (size_t)(strchr(text, '\n') - text);
		bool between = split == 0 || split == end || split == end + 1 || split == sizeof(text) - 2;
		same = same && ends == 2 && first.started != between && !rest.started;
	}
	ok(same, "split at each of its %zu bytes", sizeof(text) - 1);
}

int main(void)
{
	test_values();
	test_mistakes();
	test_depth();
	test_split();
	return tap_done();
}
