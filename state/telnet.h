/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * telnet.h - what QEMU makes of a telnet client's bytes (chardev/char-socket.c:tcp_chr_process_IAC_bytes).
 *
 * It says what it wants when a client connects, and takes the client's commands out of what it reads without an answer.
 * How far it is in such a command is a state that the next program must be in too.
 */
#ifndef CPRSHIM_STATE_TELNET_H
#define CPRSHIM_STATE_TELNET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What QEMU sends first (chardev/char-socket.c:tcp_chr_telnet_init): WILL ECHO, WILL SGA, WILL BINARY, DO BINARY. */
#define TELNET_GREETING	    "\xff\xfb\x01\xff\xfb\x03\xff\xfb\x00\xff\xfd\x00"
#define TELNET_GREETING_LEN (sizeof(TELNET_GREETING) - 1)
#define TELNET_UNREAD_MAX   2u

/**
 * struct telnet - the input of a connection; all-zero where it is no telnet
 * @on:	  it is one
 * @begun: what was read of a command that is not complete
 * @len:   bytes there
 */
struct telnet {
	bool on;
	uint8_t begun[TELNET_UNREAD_MAX];
	uint32_t len;
};

bool telnet_take(struct telnet *t, uint8_t byte);

#endif
