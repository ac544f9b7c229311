/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plaintext.c - sentences put together without libc; see plaintext.h. All of it is async-signal-safe. */
#include "plaintext.h"

#include <string.h>

/**
 * plaintext_add() - put a text at the end of another
 * @to:	  ended by a zero byte
 * @size: of @to; what does not fit is left out
 * @text: what to add
 */
void plaintext_add(char *to, size_t size, const char *text)
{
	size_t used = strnlen(to, size - 1), len = strlen(text);

	if (used + len >= size)
		len = size - used - 1;
	memcpy(to + used, text, len);
	to[used + len] = '\0';
}

/** plaintext_add_number() - the same for a number, in decimal digits */
void plaintext_add_number(char *to, size_t size, uint64_t number)
{
	char digits[24], *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	plaintext_add(to, size, at);
}

/** plaintext_add_quoted() - the same for a JSON string, in its quotation marks; what is not plain ASCII is a "?" there */
void plaintext_add_quoted(char *to, size_t size, const char *text)
{
	plaintext_add(to, size, "\"");
	for (; *text; text++) {
		char one[3] = { *text };

		if (*text == '"' || *text == '\\') {
			one[0] = '\\';
			one[1] = *text;
		} else if (*text < ' ' || *text > '~') {
			one[0] = '?';
		}
		plaintext_add(to, size, one);
	}
	plaintext_add(to, size, "\"");
}
