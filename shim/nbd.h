/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbd.h - connections to NBD servers, which disks are behind.
 *
 * A successor makes its own. The old QEMU's is kept beside it, untouched, for the way back: that must not depend on a
 * server that is gone by then, hangs, or lets nobody in. No request is under way on it ("stop" waits for all), and the
 * server keeps nothing of a client but what was agreed on at the beginning (NBD's doc/proto.md, "Protocol phases"). So
 * what both sides said there is noted, and the old binary, which says the same again, is told the same again, here.
 *
 * Where nothing was kept, or the server has ended the connection meanwhile, the way back waits until a server serves
 * its address again: QEMU would end, and the guest be lost.
 */
#ifndef CPRSHIM_SHIM_NBD_H
#define CPRSHIM_SHIM_NBD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/**
 * struct nbd_words - what was said before the first request
 * @said:  by QEMU
 * @heard: by the server
 * @lost:  not all of it is known, or a new connection would be told otherwise (TLS)
 */
struct nbd_words {
	const uint8_t *said;
	size_t said_len;
	const uint8_t *heard;
	size_t heard_len;
	bool lost;
};

void nbd_connected(int fd);
void nbd_closed(int fd);
bool nbd_sent(int fd, const struct msghdr *msg, size_t len);
bool nbd_received(int fd, const struct msghdr *msg, size_t len);

bool nbd_is_one(int fd);
struct nbd_words nbd_words(int fd);
void nbd_set_spare(int fd, bool spare);
bool nbd_is_spare(int fd);

int nbd_adopt(const struct sockaddr *addr, socklen_t addr_len, int fd, const struct nbd_words *words);
void nbd_release(void);
bool nbd_return_to(int fd, const struct sockaddr *addr, socklen_t len);

extern int nbd_repeating; /* how many connections QEMU is told again what was said on */

static inline bool nbd_repeats(void)
{
	return __atomic_load_n(&nbd_repeating, __ATOMIC_ACQUIRE) > 0;
}

ssize_t nbd_repeat_send(int fd, const struct msghdr *msg);
ssize_t nbd_repeat_receive(int fd, struct msghdr *msg);

#endif
