/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * preserved.h - in a successor: the descriptors it was given, for hooks to answer QEMU's requests with.
 *
 * The loader fills the list from the CPR state before main(); a hook takes what its request matches. What nobody has
 * taken when the device state is loaded is closed, with a line in the report.
 */
#ifndef CPRSHIM_SHIM_PRESERVED_H
#define CPRSHIM_SHIM_PRESERVED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "../state/telnet.h"
#include "decoy.h"

#define PRESERVED_MAX 256

/**
 * struct preserved - one of them
 * @kind:	its kind
 * @number:	number it had in the old program; in this one, once it was given without a decoy
 * @fd:		number of ours that it is parked under; -1 once it is QEMU's
 * @parent:	index of an accepted client's listener, of a TPM's data channel's control channel, or -1
 * @open_flags: as open(2)'s
 * @inherited:	QEMU was given it by number, and finds it there again
 * @name:	path, requested interface name, terminal name, or the network back end that a socket is of; "" where it
 *		has none
 * @addr:	address asked for in bind() or connect()
 * @addr_len:	its length
 * @protocol, @negotiated, @oob: a client's session (shim/session.h)
 * @partial:	what the old QEMU had read of an unfinished message
 * @partial_len: bytes there
 * @telnet:	a client of telnet's, and how far its input was
 * @residue:	what the old QEMU had written and the client had no room for
 * @residue_len: bytes there
 * @taken:	QEMU has asked for it
 * @decoy:	what stands in for it until the switch
 */
struct preserved {
	enum fdkind kind;
	int number;
	int fd;
	int parent;
	uint32_t open_flags;
	bool inherited;
	const char *name;
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int protocol;
	bool negotiated;
	bool oob;
	const uint8_t *partial;
	size_t partial_len;
	struct telnet telnet;
	const uint8_t *residue;
	size_t residue_len;
	bool taken;
	struct decoy decoy;
};

struct preserved *preserved_add(void);
size_t preserved_count(void);
struct preserved *preserved_at(size_t index);
bool preserved_same_address(const struct sockaddr *mine, socklen_t mine_len, const struct sockaddr *addr,
			    socklen_t len);
struct preserved *preserved_by_address(enum fdkind kind, const struct sockaddr *addr, socklen_t len);
bool preserved_sends_from(const struct sockaddr *addr, socklen_t len);
struct preserved *preserved_by_path(const char *path, int flags);
struct preserved *preserved_by_name(enum fdkind kind, const char *name);
struct preserved *preserved_next(enum fdkind kind);
bool preserved_is_socket_path(const char *path);
int preserved_listen(int fd);
struct preserved *preserved_accepted(int listener, int fd);
int preserved_give(struct preserved *p, int fd);
struct preserved *preserved_channel(int control);
void preserved_pass(int number);
int preserved_passed(void);

#endif
