/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * text.c - text that others wrote, made fit for a terminal.
 *
 * A terminal obeys what it is sent, and the guest may be the sender. So only printable text passes: control characters
 * (C0, DEL and the C1 range, where U+009B starts a sequence just as ESC [ does), what is invisible or turns the
 * direction of writing, and bytes that are no UTF-8 come out as \xNN for each byte. A backslash is doubled, so that
 * nobody can forge an escape.
 */
#include "text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_continuation(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* Return: bytes of the character at @p, 0 where there is no valid one (RFC 3629: no overlong forms, no surrogates). */
static size_t utf8_decode(const uint8_t *p, size_t len, uint32_t *ret_code)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t code;
	size_t need;

	if (p[0] < 0x80) {
		*ret_code = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		need = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		need = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		need = 4;
	else
		return 0;
	if (need > len)
		return 0;
	code = p[0] & (0x7f >> need);
	for (size_t i = 1; i < need; i++) {
		if (!is_continuation(p[i]))
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < smallest[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	*ret_code = code;
	return need;
}

static bool is_printable(uint32_t code)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{ 0x00, 0x1f },	    { 0x7f, 0x9f },	{ 0xad, 0xad },	    { 0x61c, 0x61c },	   { 0x180e, 0x180e },
		{ 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfeff, 0xfeff },	   { 0xfff0, 0xfffb },
		{ 0xe000, 0xf8ff }, { 0xfdd0, 0xfdef }, { 0xfffe, 0xffff }, { 0xe0000, 0x10ffff },
	};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (code >= hidden[i].first && code <= hidden[i].last)
			return false;
	}
	return true;
}

static void print_bytes(FILE *out, const uint8_t *p, size_t len)
{
	while (len) {
		uint32_t code = 0;
		size_t n = utf8_decode(p, len, &code);

		if (code == '\\') {
			fputs("\\\\", out);
		} else if (n && is_printable(code)) {
			fwrite(p, 1, n, out);
		} else {
			n = n ? n : 1;
			for (size_t i = 0; i < n; i++)
				fprintf(out, "\\x%02x", p[i]);
		}
		p += n;
		len -= n;
	}
}

/**
 * text_print() - print text that is not trusted
 * @out:  where to
 * @text: any bytes, '\0'-terminated
 */
void text_print(FILE *out, const char *text)
{
	print_bytes(out, (const uint8_t *)text, strlen(text));
}

/**
 * text_escaped() - the same into memory
 * @bytes: any bytes
 * @len:   their number
 *
 * Return: a string for free(), NULL where memory is short.
 */
char *text_escaped(const void *bytes, size_t len)
{
	char *buf = NULL;
	size_t size;
	FILE *out = open_memstream(&buf, &size);

	if (!out)
		return NULL;
	print_bytes(out, bytes, len);
	if (fclose(out)) {
		free(buf);
		return NULL;
	}
	return buf;
}

/**
 * text_width() - columns that escaped text takes, one for each character
 * @escaped: valid UTF-8
 */
size_t text_width(const char *escaped)
{
	size_t width = 0;

	for (; *escaped; escaped++)
		width += !is_continuation((uint8_t)*escaped);
	return width;
}

/**
 * text_color() - what makes a terminal show the text that follows in a colour
 * @out:   where that goes to
 * @color: TEXT_PLAIN ends it
 *
 * Return: what to print before it: "" where @out is no terminal that has colours, or NO_COLOR is set (no-color.org).
 */
const char *text_color(FILE *out, enum text_color color)
{
	static const char *const codes[] = {
		[TEXT_PLAIN] = "\033[0m", [TEXT_GOOD] = "\033[32m", [TEXT_WARNING] = "\033[33m", [TEXT_BAD] = "\033[31m"
	};
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	return term && strcmp(term, "dumb") != 0 && !(no && *no) && isatty(fileno(out)) ? codes[color] : "";
}

/**
 * text_error() - print a message on standard error, escaped as a whole
 * @format: as for printf(), one sentence without a newline
 */
void text_error(const char *format, ...)
{
	char *message = NULL;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(&message, format, ap);
	va_end(ap);
	fputs("cprctl: ", stderr);
	text_print(stderr, len < 0 ? "out of memory" : message);
	fputc('\n', stderr);
	if (len >= 0)
		free(message);
}
