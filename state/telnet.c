/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* telnet.c - what QEMU makes of a telnet client's bytes; see telnet.h. */
#include "telnet.h"

#define IAC   0xff
#define BREAK 0xf3

/**
 * telnet_take() - a byte was read
 * @t:	  the connection
 * @byte: the byte
 *
 * A command is IAC, BREAK; or IAC, another byte but IAC, and one more of any kind. IAC, IAC is a byte of data.
 *
 * Return: is it one of data, after which nothing is begun?
 */
bool telnet_take(struct telnet *t, uint8_t byte)
{
	bool first = t->len == 0;

	if (!t->on || (first && byte != IAC))
		return true;
	if (first || (t->len == 1 && byte != IAC && byte != BREAK)) {
		t->begun[t->len++] = byte;
		return false;
	}
	bool data = t->len == 1 && byte == IAC;
	t->len = 0;
	return data;
}
