/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* decoy.c - stand-ins under descriptor numbers; see decoy.h. */
#include "decoy.h"

#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>

#include "real.h"
#include "slots.h"
#include "table.h"

#define DECOYS 512
/* QEMU must never find a decoy full: what it cannot write it keeps in memory, and that memory is lost. */
#define DECOY_BUFFER (4 << 20)

/* Placed ones, so that hooks can ask whether a number has a decoy under it. */
static struct decoy *placed[DECOYS];
static int placed_count; /* highest slot ever used + 1 */

static int remember(struct decoy *d)
{
	for (int i = 0; i < DECOYS; i++) {
		if (placed[i])
			continue;
		__atomic_store_n(&placed[i], d, __ATOMIC_RELEASE);
		if (i >= placed_count)
			__atomic_store_n(&placed_count, i + 1, __ATOMIC_RELEASE);
		return 0;
	}
	return -ENOSPC;
}

static void forget(const struct decoy *d)
{
	for (int i = 0; i < placed_count; i++)
		if (placed[i] == d)
			__atomic_store_n(&placed[i], NULL, __ATOMIC_RELEASE);
}

/**
 * decoy_find() - which decoy stands under a number?
 * @number: any descriptor
 *
 * Return: the decoy, or NULL. One load where there are none, as at any time but during an update.
 */
struct decoy *decoy_find(int number)
{
	int n = __atomic_load_n(&placed_count, __ATOMIC_ACQUIRE);

	for (int i = 0; i < n; i++) {
		struct decoy *d = __atomic_load_n(&placed[i], __ATOMIC_ACQUIRE);

		if (d && d->placed && d->number == number)
			return d;
	}
	return NULL;
}

/**
 * decoy_real() - the real descriptor that a number stands for
 * @number: any descriptor
 *
 * Return: the real one's number where a decoy is under @number, else @number.
 */
int decoy_real(int number)
{
	const struct decoy *d = decoy_find(number);

	return d ? d->real : number;
}

static void widen(int fd)
{
	int size = DECOY_BUFFER;

	/* The forced form needs CAP_NET_ADMIN; without it net.core.wmem_max is the limit. */
	if (real(setsockopt)(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		real(setsockopt)(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int make_pair(int type, int *ret_mine)
{
	int pair[2];

	if (real(socketpair)(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -errno;
	widen(pair[0]);
	widen(pair[1]);
	*ret_mine = slots_move(pair[1]);
	if (*ret_mine < 0) {
		real(close)(pair[0]);
		return *ret_mine;
	}
	return pair[0];
}

/*
 * A listening socket without a path: the kernel chooses an abstract name (unix(7), autobind). The hooks of accept() let
 * us alone in.
 */
static int make_listener(struct decoy *d)
{
	struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = real(socket)(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	d->addr_len = sizeof(d->addr);
	if (real(bind)(fd, (struct sockaddr *)&any, sizeof(any.sun_family)) || real(listen)(fd, 64) ||
	    real(getsockname)(fd, (struct sockaddr *)&d->addr, &d->addr_len)) {
		int err = -errno;

		real(close)(fd);
		return err;
	}
	return fd;
}

/** decoy_is_datagram() - is this a socket that keeps what is sent apart? */
bool decoy_is_datagram(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_DGRAM;
}

/* A character device's datagram socket (chardev/char-udp.c) that has nothing to read is not read from again. */
static bool is_udp(const struct decoy *d)
{
	return d->kind == FDKIND_CONNECTION && decoy_is_datagram(d->real);
}

/* Must whoever is woken up find something to read? */
static bool must_find(const struct decoy *d)
{
	return d->packets || is_udp(d);
}

/**
 * decoy_receive() - for the hooks of recv() and recvmsg(): what woke QEMU up just before a decoy came is in the real one
 * @number: descriptor that had nothing to read
 * @msg, @flags: as recvmsg()'s
 *
 * Return: as recvmsg()'s, errno set.
 */
ssize_t decoy_receive(int number, struct msghdr *msg, int flags)
{
	const struct decoy *d = decoy_find(number);

	if (d && must_find(d))
		return real(recvmsg)(d->real, msg, flags | MSG_DONTWAIT);
	errno = EAGAIN;
	return -1;
}

/* A pipe-like decoy for a terminal or pipe that QEMU reads or writes; it looks as blocking as the real one does. */
static int make_decoy(struct decoy *d)
{
	bool packets = d->kind == FDKIND_TAP || decoy_is_datagram(d->real);

	return d->kind == FDKIND_LISTENER ? make_listener(d) : make_pair(packets ? SOCK_DGRAM : SOCK_STREAM, &d->peer);
}

/* From here on a write to @fd, a socket or a terminal, finds no room. What is written for that is junk. */
static void fill(int fd)
{
	static const char junk[4096];
	int least = 1, flags;

	real(setsockopt)(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	while (send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		;
	flags = errno == ENOTSOCK ? real(fcntl)(fd, F_GETFL) : -1;
	if (flags >= 0 && !real(fcntl)(fd, F_SETFL, flags | O_NONBLOCK))
		while (write(fd, junk, sizeof(junk)) > 0)
			;
}

/* What QEMU polls before it reads, and does not expect to wait for, it may all the same have left blocking. */
static bool never_waits(const struct decoy *d)
{
	/* It may be about to accept from the real one, which blocks: it must not wait here for a client. */
	return d->kind == FDKIND_LISTENER || d->kind == FDKIND_PIPE || d->kind == FDKIND_FILE || is_udp(d);
}

static int place(struct decoy *d, enum fdkind kind, int number, int real, bool full)
{
	*d = (struct decoy){
		.kind = kind, .number = number, .real = real, .peer = -1, .full = full, .packets = d->packets
	};
	int fd = make_decoy(d);

	/* Where the number was free, the decoy itself may have got it. */
	if (fd == number) {
		fd = real(dup)(number);
		real(close)(number);
	}
	if (fd < 0)
		return fd;
	if (full)
		fill(fd);
	/* -1 where the number is not in use yet. */
	int flags = real(fcntl)(number, F_GETFL), fd_flags = real(fcntl)(number, F_GETFD);
	int rc = remember(d);

	if (!rc) {
		if (flags >= 0 && !(flags & O_NONBLOCK) && !never_waits(d))
			real(fcntl)(fd, F_SETFL, 0);
		d->placed = d->packets; /* from its very first moment on, decoy_receive() must know of it */
		rc = real(dup3)(fd, number, fd_flags == FD_CLOEXEC ? O_CLOEXEC : 0) < 0 ? -errno : 0;
	}
	real(close)(fd);
	d->placed = !rc;
	if (rc) {
		forget(d);
		d->peer = slots_close(d->peer);
		return rc;
	}
	return 0;
}

/**
 * decoy_place() - put a decoy under a number
 * @d:	    its memory, the caller's, in use until decoy_done()
 * @kind:   what the real one is
 * @number: QEMU's descriptor; closed where it was something else
 * @real:   the real one, one of ours
 *
 * Return: 0 or a negative errno; nothing has changed then.
 */
int decoy_place(struct decoy *d, enum fdkind kind, int number, int real)
{
	return place(d, kind, number, real, false);
}

/**
 * decoy_place_full() - the same, where the real one's peer does not read
 *
 * QEMU goes on to find no room. What it cannot write stays in the device, as before, and becomes a part of its state;
 * there is nothing to forward. Not for listeners and taps.
 */
int decoy_place_full(struct decoy *d, enum fdkind kind, int number, int real)
{
	return place(d, kind, number, real, true);
}

/**
 * decoy_fill() - from here on QEMU cannot write to a decoy
 * @d: a placed decoy, of what is neither a listener nor a tap
 *
 * For a successor, whose devices may begin to send what their state holds as soon as that is loaded; nothing forwards
 * it.
 */
void decoy_fill(struct decoy *d)
{
	d->full = true;
	fill(d->number);
}

/**
 * decoy_visit() - connect to a decoy listener
 * @listener: the decoy listener
 * @client:   its peer is the connection
 *
 * Return: 0 or a negative errno.
 */
int decoy_visit(const struct decoy *listener, struct decoy *client)
{
	int fd = real(socket)(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	widen(fd);
	if (real(connect)(fd, (const struct sockaddr *)&listener->addr, listener->addr_len)) {
		int err = -errno;

		real(close)(fd);
		return err;
	}
	client->peer = slots_move(fd);
	return client->peer < 0 ? client->peer : 0;
}

/** decoy_leave() - end a visit, and wait until QEMU has ended it too. Return: 0 or a negative errno. */
int decoy_leave(struct decoy *d, int ms)
{
	struct pollfd wait = { .fd = d->peer, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	shutdown(d->peer, SHUT_WR);
	do {
		if (poll(&wait, 1, ms) <= 0)
			return -ETIMEDOUT;
		n = decoy_read(d, buf, sizeof(buf));
	} while (n > 0);
	return n == -ECONNRESET ? 0 : (int)n;
}

/**
 * decoy_accept_into() - let QEMU find a preserved client in a decoy listener's queue
 * @listener: the decoy listener
 * @client:   the client's memory; its real and kind are set, the rest is filled in
 *
 * QEMU's accept() gives the other end a number; the caller's hook then sets @client->number and @client->placed.
 *
 * Return: 0 or a negative errno.
 */
int decoy_accept_into(struct decoy *listener, struct decoy *client)
{
	int rc = decoy_visit(listener, client);

	client->number = -1;
	return rc ? rc : remember(client);
}

/**
 * decoy_place_pty() - make a pseudo terminal for QEMU to hold in place of the preserved one
 * @d:		its memory
 * @real:	the preserved master, one of ours
 * @ret_master: QEMU's master, which the decoy stands under
 * @ret_slave:	QEMU's slave, which it closes
 *
 * We keep the slave open too: without one, QEMU would see a hang-up and look for a client only once a second.
 *
 * Return: 0 or a negative errno.
 */
int decoy_place_pty(struct decoy *d, int real, int *ret_master, int *ret_slave)
{
	int master, slave;

	*d = (struct decoy){ .kind = FDKIND_PTY_MASTER, .number = -1, .real = real, .peer = -1 };
	if (real(openpty)(&master, &slave, NULL, NULL, NULL))
		return -errno;
	d->peer = slots_park(slave);
	real(fcntl)(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	int rc = d->peer < 0 ? d->peer : remember(d);

	if (rc) {
		d->peer = slots_close(d->peer);
		real(close)(master);
		real(close)(slave);
		return rc;
	}
	d->number = master;
	d->placed = true;
	*ret_master = master;
	*ret_slave = slave;
	return 0;
}

static void poke(const struct decoy *d)
{
	if (d->kind == FDKIND_LISTENER) {
		int fd = real(socket)(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		if (fd >= 0) {
			real(connect)(fd, (const struct sockaddr *)&d->addr, d->addr_len);
			real(close)(fd);
		}
	} else if (d->peer >= 0 && !must_find(d)) {
		/* Full is as good: then the decoy is readable already. */
		while (write(d->peer, "", 1) < 0 && errno == EINTR)
			;
	}
}

/*
 * A queue that is off loses the packets that wait in it (drivers/net/tun.c:__tun_detach), and a new QEMU turns all but
 * one off before the device state says which are on. So only the last request counts; EINVAL says that the queue is
 * as asked for already.
 */
static void set_queue(struct decoy *d)
{
	struct ifreq request = { .ifr_flags = d->queue };

	if (d->queue)
		real(ioctl)(d->real, TUNSETQUEUE, &request);
	d->queue = 0;
}

/**
 * decoy_switch() - put the real descriptor under QEMU's number
 * @d: a placed decoy
 *
 * The caller then does a round trip on the private monitor, and calls decoy_done().
 *
 * Return: 0 or a negative errno; the decoy is still in place then.
 */
int decoy_switch(struct decoy *d)
{
	int decoy_flags = real(fcntl)(d->number, F_GETFL);
	int real_flags = real(fcntl)(d->real, F_GETFL);
	int cloexec = real(fcntl)(d->number, F_GETFD);

	if (decoy_flags < 0 || real_flags < 0 || cloexec < 0)
		return -errno;
	/* A blocking one would hold up the thread that was woken for the decoy, and with it every monitor. */
	d->blocking = (decoy_flags & O_NONBLOCK) && !(real_flags & O_NONBLOCK) && !is_udp(d);
	if (d->blocking)
		real(fcntl)(d->real, F_SETFL, real_flags | O_NONBLOCK);
	d->placed = false;
	if (real(dup3)(d->real, d->number, cloexec & FD_CLOEXEC ? O_CLOEXEC : 0) < 0) {
		d->placed = true;
		return -errno;
	}
	table_refresh(d->number);
	set_queue(d);
	poke(d);
	return 0;
}

/**
 * decoy_done() - close what a decoy needed
 * @d: a switched decoy, or one that was never placed
 */
void decoy_done(struct decoy *d)
{
	forget(d);
	if (d->blocking)
		real(fcntl)(d->real, F_SETFL, real(fcntl)(d->real, F_GETFL) & ~O_NONBLOCK);
	d->peer = slots_close(d->peer);
	d->real = slots_close(d->real);
}

/**
 * decoy_read() - take what QEMU wrote into a decoy
 * @d:	 the decoy
 * @buf: where it goes
 * @len: at most this much; for a tap and a datagram socket one packet
 *
 * Return: bytes, 0 where there is nothing, or a negative errno.
 */
ssize_t decoy_read(struct decoy *d, void *buf, size_t len)
{
	ssize_t n;

	if (d->peer < 0)
		return 0;
	do
		n = read(d->peer, buf, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

/** decoy_consumed() - has QEMU read all that was written to a decoy? */
bool decoy_consumed(const struct decoy *d)
{
	int left = 0;

	return real(ioctl)(d->peer, TIOCOUTQ, &left) || left == 0;
}

static int write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd wait = { .fd = fd, .events = POLLOUT };

			if (poll(&wait, 1, 1000) <= 0)
				return -EAGAIN;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		} else if (n > 0) {
			buf += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/**
 * decoy_forward() - pass what QEMU wrote into a decoy on to the real descriptor
 * @d: the decoy
 *
 * Waits up to a second for room. A write to a tap takes one packet.
 *
 * Return: 0 or a negative errno.
 */
int decoy_forward(struct decoy *d)
{
	static char buf[128 * 1024]; /* one packet of any size; only the service thread forwards */

	if (d->full)
		return 0;
	for (;;) {
		ssize_t n = decoy_read(d, buf, sizeof(buf));

		if (n <= 0)
			return (int)n;
		int rc = write_all(d->real, buf, (size_t)n);
		if (rc)
			return rc;
	}
}
