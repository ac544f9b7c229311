/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * session.h - what a client on a listening chardev has said and been told, as far as a hand-over needs it.
 *
 * A QMP or HMP session has state inside QEMU that a new QEMU cannot be told: the greeting has been sent, capabilities
 * have been negotiated, half a command may have been read. sendmsg() shows the first two (a QMP monitor's first message
 * is its greeting), recvmsg() the third. What was asked of a monitor and what it answered is shown to the loader, message
 * by message, and not kept. Of a connection that may be a network back end's the packets' bounds are followed
 * (state/frames.h).
 */
#ifndef CPRSHIM_SHIM_SESSION_H
#define CPRSHIM_SHIM_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "../state/frames.h"
#include "../state/jsonscan.h"
#include "../state/telnet.h"

#define SESSION_PARTIAL_MAX 65536
#define SESSION_LINE_MAX    4095 /* readline takes no more (qemu/readline.h) */
#define SESSION_HEAD	    64	 /* a greeting says what it is in its first few bytes */

enum session_protocol {
	SESSION_UNKNOWN = 0, /* QEMU has sent nothing yet */
	SESSION_PLAIN = 1,   /* bytes without a handshake: a serial port */
	SESSION_QMP = 2,
	SESSION_HMP = 3,
	SESSION_VHOST_USER = 4, /* a back end of a vhost-user device */
	SESSION_TPM = 5,	/* control channel of a TPM emulator */
};

/**
 * struct session_watch - who is shown what monitors are asked and answer
 * @asked:    a whole request (QMP), or a line (HMP); NULL where it was too long to keep
 * @answered: a whole message (QMP), or what was printed for the line (HMP); NULL likewise
 * @closed:   no answer will come any more
 *
 * Called on QEMU's threads, with this file's lock held.
 */
struct session_watch {
	void (*asked)(int fd, bool hmp, const char *text, size_t len);
	void (*answered)(int fd, bool hmp, const char *text, size_t len);
	void (*closed)(int fd);
};

/**
 * struct session_keys - what a multiplexer (chardev/char-mux.c) was told by what was typed, if there is one
 * @escaped:  the last byte was the escape character
 * @stamps:   Ctrl-A t, an odd number of times
 * @switches: how often the focus went on: Ctrl-A c
 */
struct session_keys {
	bool escaped;
	bool stamps;
	unsigned int switches;
};

/**
 * struct session - one connection, or terminal
 * @fd:		descriptor, or -1 where the slot is free
 * @protocol:	enum session_protocol
 * @negotiated:	QMP: capabilities have been negotiated
 * @oob:	QMP: out-of-band execution is on
 * @overflow:	more was read since the last message's end than can be kept
 * @scan:	QMP: where we are in the input
 * @head:	the first that QEMU sent, until it tells the protocol: a monitor in mode "pretty" sends line by line
 * @head_len:	bytes there
 * @keys:	of what was read
 * @partial:	what was read since the last message's end (QMP) or line's end (others); malloc'ed
 * @partial_len: bytes there
 * @out_scan:	QMP: where we are in the output
 * @out_waits:	HMP: lines whose output has not come to its end
 * @out_overflow: as @overflow, of the output
 * @out:	what was written since the last message's end (QMP) or prompt (HMP); malloc'ed
 * @out_len:	bytes there
 * @packet:	what was read of a packet that is not complete; malloc'ed
 * @packet_len:	bytes there
 * @frames_in, @frames_out: packets that were read and sent, where this is a network back end's
 * @telnet:	whose client's commands QEMU takes out of what it reads
 * @unread:	how much of what is begun of one the program before has read, and QEMU not yet
 */
struct session {
	int fd;
	int protocol;
	bool negotiated;
	bool oob;
	bool overflow;
	struct jsonscan scan;
	char head[SESSION_HEAD];
	size_t head_len;
	struct session_keys keys;
	char *partial;
	size_t partial_len;
	struct jsonscan out_scan;
	unsigned int out_waits;
	bool out_overflow;
	char *out;
	size_t out_len;
	char *packet;
	size_t packet_len;
	struct frames frames_in;
	struct frames frames_out;
	struct telnet telnet;
	size_t unread;
};

void session_register(const struct session_watch *watch);
void session_set_escape(char byte);
void session_open(int fd);
void session_close(int fd);
void session_sent(int fd, const struct msghdr *msg, size_t len);
void session_received(int fd, const struct msghdr *msg, size_t len);
bool session_copy(int fd, struct session *ret);
int session_protocol(int fd);
char *session_packet(int fd, size_t *ret_len);
bool session_is_broken(int fd);
bool session_is_between(int fd);
bool session_is_telnet(int fd);
void session_restore(int fd, int protocol, bool negotiated, bool oob);
void session_restore_telnet(int fd, const struct telnet *telnet);
size_t session_reread(int fd, const struct msghdr *msg);

#endif
