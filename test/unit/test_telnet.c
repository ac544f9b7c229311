/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_telnet.c - a telnet client's bytes, as QEMU takes them. */
#include "state/telnet.h"

#include "test/unit/tap.h"

#include <string.h>

/* What is left of @text, and how much of a command is begun at its end. */
static bool leaves(const char *text, size_t len, const char *data, size_t data_len, uint32_t begun)
{
	struct telnet t = { .on = true };
	char left[64];
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (telnet_take(&t, (uint8_t)text[i]))
			left[n++] = text[i];
	return n == data_len && !memcmp(left, data, n) && t.len == begun &&
	       (!begun || !memcmp(t.begun, text + len - begun, begun));
}

#define LEAVES(text, data, begun) leaves(text, sizeof(text) - 1, data, sizeof(data) - 1, begun)

int main(void)
{
	struct telnet none = { .on = false };

	ok(telnet_take(&none, 0xff) && telnet_take(&none, 0xff) && !none.len, "another connection's bytes are data");
	ok(LEAVES("ab", "ab", 0), "data");
	ok(LEAVES("a\xff\xff"
		  "b",
		  "a\xff"
		  "b",
		  0),
	   "a byte 255");
	ok(LEAVES("a\xff\xfd\x03"
		  "b",
		  "ab", 0),
	   "a command of three bytes");
	ok(LEAVES("a\xff\xf3"
		  "b",
		  "ab", 0),
	   "a break");
	ok(LEAVES("\xff\xfd\xff"
		  "b",
		  "b", 0),
	   "a command that ends in 255");
	ok(LEAVES("a\xff", "a", 1), "begun");
	ok(LEAVES("a\xff\xfb", "a", 2), "begun, two bytes");
	ok(LEAVES(TELNET_GREETING, "", 0) && TELNET_GREETING_LEN == 12, "what QEMU itself begins with");
	return tap_done();
}
