/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * decoy.h - a stand-in under a descriptor's number, while the real one must not be touched.
 *
 * QEMU goes on to poll, read and write the number; what it writes lands with us, and nothing reaches it that we do not
 * send. The old program gets decoys when it is frozen, the successor starts with them and gets the real ones at the
 * switch.
 *
 * A thread that sleeps in poll() keeps the file it went to sleep on: dup3() wakes nobody. So a switch is: the real one
 * non-blocking, dup3(), a byte into the decoy's peer (a one-shot poll of io_uring completes and is armed again by
 * number), then a command on the private monitor (a round trip through the main loop and the monitor thread, which then
 * poll by number), and only then the peer is closed: a hang-up before that would be taken for the client's.
 */
#ifndef CPRSHIM_SHIM_DECOY_H
#define CPRSHIM_SHIM_DECOY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "../state/fdtable.h"

/**
 * struct decoy - one of them
 * @kind:   kind of the real descriptor
 * @number: QEMU's number, -1 before decoy_place()
 * @real:   the real one, under a number of ours; -1 after decoy_done()
 * @peer:   other end of the decoy; -1 for a listener
 * @placed: the decoy stands under @number (a switched one does not)
 * @full:   what QEMU wrote into it is junk of ours
 * @blocking: the real one blocked before the switch, and does again after decoy_done()
 * @packets: a network back end's stream: QEMU ends where it is woken up and finds nothing (net/net.c:net_fill_rstate);
 *	     the caller's to set before decoy_place()
 * @queue:  a tap's: the last TUNSETQUEUE request, which waits for the switch; 0 where there was none
 * @addr:   a decoy listener's address
 * @addr_len: its length
 */
struct decoy {
	enum fdkind kind;
	int number;
	int real;
	int peer;
	bool placed;
	bool full;
	bool blocking;
	bool packets;
	short queue;
	struct sockaddr_un addr;
	socklen_t addr_len;
};

int decoy_place(struct decoy *d, enum fdkind kind, int number, int real);
int decoy_place_full(struct decoy *d, enum fdkind kind, int number, int real);
void decoy_fill(struct decoy *d);
int decoy_visit(const struct decoy *listener, struct decoy *client);
int decoy_leave(struct decoy *d, int ms);
int decoy_accept_into(struct decoy *listener, struct decoy *client);
int decoy_place_pty(struct decoy *d, int real, int *ret_master, int *ret_slave);
int decoy_switch(struct decoy *d);
void decoy_done(struct decoy *d);
int decoy_forward(struct decoy *d);
ssize_t decoy_read(struct decoy *d, void *buf, size_t len);
bool decoy_is_datagram(int fd);
ssize_t decoy_receive(int number, struct msghdr *msg, int flags);
bool decoy_consumed(const struct decoy *d);
struct decoy *decoy_find(int number);
int decoy_real(int number);

#endif
