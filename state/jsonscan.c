/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* jsonscan.c - finds where a JSON value ends; see jsonscan.h. */
#include "jsonscan.h"

/* QEMU's MAX_NESTING: a message that opens more is an error. */
#define NESTING_MAX 1024

enum lexer_state {
	IN_START,
	IN_STRING,
	IN_ESCAPE,
	IN_KEYWORD,
	IN_MINUS,
	IN_ZERO,
	IN_INTEGER,
	IN_POINT,
	IN_FRACTION,
	IN_EXPONENT,
	IN_EXPONENT_SIGN,
	IN_EXPONENT_DIGITS,
	IN_RECOVERY, /* after an error: skip to where a message may begin */
};

/* What a byte completes. AGAIN: the token before it, and it is to be looked at once more. */
enum token { TOKEN_NONE, TOKEN_SPACE, TOKEN_MARK, TOKEN_VALUE, TOKEN_VALUE_AGAIN, TOKEN_SPACE_AGAIN, TOKEN_ERROR };

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_mark(uint8_t c)
{
	return c == '{' || c == '}' || c == '[' || c == ']' || c == ',' || c == ':';
}

static enum token go(struct jsonscan *scan, enum lexer_state state)
{
	scan->state = (uint8_t)state;
	return TOKEN_NONE;
}

static enum token start(struct jsonscan *scan, uint8_t c)
{
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return TOKEN_SPACE;
	if (is_mark(c))
		return TOKEN_MARK;
	if (c == '"' || c == '\'') {
		scan->quote = (char)c;
		return go(scan, IN_STRING);
	}
	if (c >= 'a' && c <= 'z')
		return go(scan, IN_KEYWORD);
	if (c == '-')
		return go(scan, IN_MINUS);
	if (is_digit(c))
		return go(scan, c == '0' ? IN_ZERO : IN_INTEGER);
	return TOKEN_ERROR;
}

static enum token string(struct jsonscan *scan, uint8_t c)
{
	if (c < 0x20 || c > 0xfd)
		return TOKEN_ERROR;
	if (scan->state == IN_ESCAPE)
		return go(scan, IN_STRING);
	if (c == '\\')
		return go(scan, IN_ESCAPE);
	return c == (uint8_t)scan->quote ? TOKEN_VALUE : TOKEN_NONE;
}

/* Numbers whose form is wrong are errors here; words and all else are left to the parser. */
static enum token number(struct jsonscan *scan, uint8_t c)
{
	bool digit = is_digit(c), e = c == 'e' || c == 'E';

	switch ((enum lexer_state)scan->state) {
	case IN_MINUS:
		return digit ? go(scan, c == '0' ? IN_ZERO : IN_INTEGER) : TOKEN_ERROR;
	case IN_ZERO:
		if (digit)
			return TOKEN_ERROR;
		return c == '.' ? go(scan, IN_POINT) : TOKEN_VALUE_AGAIN;
	case IN_INTEGER:
		if (c == '.')
			return go(scan, IN_POINT);
		break;
	case IN_POINT:
		return digit ? go(scan, IN_FRACTION) : TOKEN_ERROR;
	case IN_EXPONENT:
		if (c == '+' || c == '-')
			return go(scan, IN_EXPONENT_SIGN);
		return digit ? go(scan, IN_EXPONENT_DIGITS) : TOKEN_ERROR;
	case IN_EXPONENT_SIGN:
		return digit ? go(scan, IN_EXPONENT_DIGITS) : TOKEN_ERROR;
	case IN_EXPONENT_DIGITS:
		return digit ? TOKEN_NONE : TOKEN_VALUE_AGAIN;
	default:
		break;
	}
	if (e)
		return go(scan, IN_EXPONENT);
	return digit ? TOKEN_NONE : TOKEN_VALUE_AGAIN;
}

static enum token lex(struct jsonscan *scan, uint8_t c)
{
	switch ((enum lexer_state)scan->state) {
	case IN_START:
		return start(scan, c);
	case IN_STRING:
	case IN_ESCAPE:
		return string(scan, c);
	case IN_KEYWORD:
		return c >= 'a' && c <= 'z' ? TOKEN_NONE : TOKEN_VALUE_AGAIN;
	case IN_RECOVERY:
		return is_mark(c) || (c < 0x20 && c != '\t') || c > 0xfd ? TOKEN_SPACE_AGAIN : TOKEN_NONE;
	default:
		return number(scan, c);
	}
}

static void count(struct jsonscan *scan, uint8_t c)
{
	scan->braces += (c == '{') - (c == '}');
	scan->brackets += (c == '[') - (c == ']');
}

/* Is the message over with this token? */
static bool is_over(const struct jsonscan *scan)
{
	return scan->braces < 0 || scan->brackets < 0 || (!scan->braces && !scan->brackets) ||
	       scan->braces + scan->brackets > NESTING_MAX;
}

/**
 * jsonscan_feed() - take one byte
 * @scan: all-zero at first
 * @byte: the next byte of the stream
 *
 * White space between values is no part of any, nor is what QEMU skips after an error. A number or word that stands by
 * itself ends with the byte after it, which may begin the next value.
 *
 * Return: JSONSCAN_END if the byte ends an outermost value, or makes QEMU give up on it.
 */
enum jsonscan_result jsonscan_feed(struct jsonscan *scan, char byte)
{
	enum jsonscan_result result = JSONSCAN_MORE;
	uint8_t c = (uint8_t)byte;

	for (;;) {
		enum token token = lex(scan, c);

		if (token == TOKEN_NONE) {
			scan->started = scan->started || scan->state != IN_RECOVERY;
			return result;
		}
		scan->state = IN_START;
		if (token == TOKEN_SPACE)
			return result;
		if (token == TOKEN_SPACE_AGAIN)
			continue;
		scan->started = true;
		if (token == TOKEN_MARK)
			count(scan, c);
		if (token == TOKEN_ERROR || is_over(scan)) {
			*scan = (struct jsonscan){ .state = token == TOKEN_ERROR ? IN_RECOVERY : IN_START };
			result = JSONSCAN_END;
		}
		if (token != TOKEN_VALUE_AGAIN)
			return result;
	}
}
