/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks_socket.c - sockets: made, bound, accepted, connected, and the two calls that chardevs talk through.
 *
 * sendmsg() and recvmsg() look at a session only where the descriptor is an accepted client; for any other it is one
 * load.
 */
#include <errno.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "awaited.h"
#include "guard.h"
#include "nbd.h"
#include "preserved.h"
#include "real.h"
#include "session.h"
#include "table.h"
#include "tpm.h"

SHIM_HOOK int socket(int domain, int type, int protocol)
{
	int fd = real(socket)(domain, type, protocol);

	if (fd >= 0 && guard_enter()) {
		table_note_socket(fd, FDKIND_SOCKET, HOOK_socket, domain, type);
		guard_leave();
	}
	return fd;
}

SHIM_HOOK int socketpair(int domain, int type, int protocol, int fds[2])
{
	int rc = real(socketpair)(domain, type, protocol, fds);

	if (!rc && guard_enter()) {
		table_note_socket(fds[0], FDKIND_SOCKETPAIR, HOOK_socketpair, domain, type);
		table_note_socket(fds[1], FDKIND_SOCKETPAIR, HOOK_socketpair, domain, type);
		tpm_note_pair(fds);
		guard_leave();
	}
	return rc;
}

/* In a successor: put the preserved socket's decoy under the one that QEMU binds. */
static bool rebind_bound(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct preserved *p = NULL;

	if (guard_role() == SHIM_SUCCESSOR)
		p = preserved_by_address(FDKIND_LISTENER, addr, len);
	if (guard_role() == SHIM_SUCCESSOR && !p)
		p = preserved_by_address(FDKIND_SOCKET, addr, len);
	return p && !decoy_place(&p->decoy, p->kind, fd, p->fd);
}

/* Beside a running guest: an address that is not handed over is given to nobody; this socket gets one that nobody looks for. */
static bool is_for_show(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct sockaddr_storage none = { .ss_family = AF_UNSPEC };

	if (!guard_is_beside())
		return false;
	if (!preserved_sends_from(addr, len))
		guard_note_shown();
	none.ss_family = addr->sa_family;
	return !real(bind)(fd, (struct sockaddr *)&none,
			   addr->sa_family == AF_UNIX ? sizeof(sa_family_t) : sizeof(none));
}

SHIM_HOOK int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (!guard_enter())
		return real(bind)(fd, addr, len);
	int rc = rebind_bound(fd, addr, len) || is_for_show(fd, addr, len) ? 0 : real(bind)(fd, addr, len);
	if (!rc)
		table_note_address(fd, FDKIND_SOCKET, addr, len);
	guard_leave();
	return rc;
}

SHIM_HOOK int listen(int fd, int backlog)
{
	if (!guard_enter())
		return real(listen)(fd, backlog);
	int rc = guard_role() == SHIM_SUCCESSOR ? preserved_listen(fd) : -ENOENT;
	if (rc == -ENOENT) {
		rc = real(listen)(fd, backlog);
	} else if (rc) {
		errno = -rc;
		rc = -1;
	}
	if (!rc)
		table_set_flag(fd, FDREC_LISTENING);
	guard_leave();
	return rc;
}

/*
 * A decoy listener has a name that anyone on this host can find, in a namespace without permissions (unix(7),
 * abstract): only what we connected ourselves is let in.
 */
static bool is_stranger(int listener, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!decoy_find(listener))
		return false;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.pid != getpid();
}

static int turn_away(int fd)
{
	real(close)(fd);
	errno = EAGAIN;
	return -1;
}

static void accepted(int listener, int fd, struct sockaddr *addr, socklen_t *len, socklen_t room, enum hook_id origin)
{
	int saved = errno;
	struct preserved *p = guard_role() == SHIM_SUCCESSOR ? preserved_accepted(listener, fd) : NULL;

	table_note_client(fd, listener, origin);
	if (p) {
		session_restore(fd, p->protocol, p->negotiated, p->oob);
		session_restore_telnet(fd, &p->telnet);
		if (addr && len) {
			*len = room;
			real(getpeername)(p->fd, addr, len);
		}
	} else {
		session_open(fd);
	}
	errno = saved;
}

SHIM_HOOK int accept(int listener, struct sockaddr *addr, socklen_t *len)
{
	socklen_t room = len ? *len : 0;
	int fd = real(accept)(listener, addr, len);

	if (fd >= 0 && is_stranger(listener, fd))
		return turn_away(fd);
	if (fd >= 0 && guard_enter()) {
		accepted(listener, fd, addr, len, room, HOOK_accept);
		guard_leave();
	}
	return fd;
}

SHIM_HOOK int accept4(int listener, struct sockaddr *addr, socklen_t *len, int flags)
{
	socklen_t room = len ? *len : 0;
	int fd = real(accept4)(listener, addr, len, flags);

	if (fd >= 0 && is_stranger(listener, fd))
		return turn_away(fd);
	if (fd >= 0 && guard_enter()) {
		accepted(listener, fd, addr, len, room, HOOK_accept4);
		guard_leave();
	}
	return fd;
}

/*
 * In a successor: put a preserved connection's decoy under the socket that QEMU connects. A TPM is talked to from the
 * start.
 */
static struct preserved *rebind_connection(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct preserved *p =
		guard_role() == SHIM_SUCCESSOR ? preserved_by_address(FDKIND_CONNECTION, addr, len) : NULL;

	if (!p)
		return NULL;
	int rc = p->protocol == SESSION_TPM ? preserved_give(p, fd)
					    : decoy_place(&p->decoy, FDKIND_CONNECTION, fd, p->fd);
	return rc ? NULL : p;
}

SHIM_HOOK int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	if (!guard_enter())
		return real(connect)(fd, addr, len);
	struct preserved *p = rebind_connection(fd, addr, len);
	bool kept = !p && guard_role() == SHIM_SUCCESSOR && nbd_return_to(fd, addr, len);
	int rc = p || kept ? 0 : awaited_connect(fd, addr, len);
	if (!rc || errno == EINPROGRESS) {
		int saved = errno;

		table_note_address(fd, FDKIND_CONNECTION, addr, len);
		if (!p && !kept)
			nbd_connected(fd);
		if (p)
			session_restore(fd, p->protocol, p->negotiated, p->oob);
		errno = saved;
	}
	guard_leave();
	return rc;
}

/* A multicast group that the real socket is in already: its decoy knows of none. */
SHIM_HOOK int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if (level == IPPROTO_IP && decoy_find(fd))
		return 0;
	return real(setsockopt)(fd, level, option, value, len);
}

/* A datagram to an address can go nowhere from a decoy. */
SHIM_HOOK ssize_t sendto(int fd, const void *data, size_t len, int flags, const struct sockaddr *to, socklen_t to_len)
{
	return real(sendto)(to ? decoy_real(fd) : fd, data, len, flags, to, to_len);
}

/* QEMU keeps a connection's names for life: they must be the real one's, not its decoy's. */
SHIM_HOOK int getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	return real(getsockname)(decoy_real(fd), addr, len);
}

SHIM_HOOK int getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	return real(getpeername)(decoy_real(fd), addr, len);
}

/* A monitor may be on either end of a connection. */
static bool has_session(int fd)
{
	enum fdkind kind = table_kind(fd);

	return kind == FDKIND_CLIENT || kind == FDKIND_CONNECTION;
}

/*
 * QEMU's bridge helper, a child, sends the tap that it made over a socketpair (net/tap.c:net_bridge_run_helper); all
 * other messages come from clients.
 */
static int note_one_received(int from, int fd)
{
	int number = table_kind(from) == FDKIND_SHIM ? preserved_passed() : -1;
	struct ifreq request;

	/* Ours: a decoy, or what it stands for, that is known by its number. */
	if (number >= 0) {
		real(close)(fd);
		return number;
	}
	if (table_kind(from) == FDKIND_SOCKETPAIR && !real(ioctl)(fd, TUNGETIFF, &request))
		table_note_text(fd, FDKIND_TAP, HOOK_recvmsg, TABLE_BRIDGE_HELPER);
	else
		table_note_received(fd, from);
	return fd;
}

static void note_received(int from, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + at, sizeof(fd));
			fd = note_one_received(from, fd);
			memcpy(CMSG_DATA(c) + at, &fd, sizeof(fd));
		}
	}
}

/* QEMU's own calls only: a user network's connections (libslirp) are not followed. */
SHIM_HOOK ssize_t recv(int fd, void *data, size_t len, int flags)
{
	ssize_t n = real(recv)(fd, data, len, flags);
	struct iovec part = { .iov_base = data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	if (n < 0 && errno == EAGAIN)
		n = decoy_receive(fd, &msg, flags);
	if (n > 0 && has_session(fd) && guard_in_program_text(__builtin_return_address(0)) && guard_enter()) {
		int saved = errno;

		session_received(fd, &msg, (size_t)n);
		errno = saved;
		guard_leave();
	}
	return n;
}

/* In a successor: the beginning of what the client will send the end of. Its decoy has other bytes. */
static ssize_t reread(int fd, struct msghdr *msg)
{
	ssize_t n = decoy_find(fd) ? 0 : (ssize_t)session_reread(fd, msg);

	if (n > 0)
		msg->msg_controllen = 0;
	return n;
}

SHIM_HOOK ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (__builtin_expect(tpm_has_answer(fd), false))
		return tpm_answer(msg);
	ssize_t n = reread(fd, msg);

	if (n > 0)
		return n;
	if (__builtin_expect(nbd_repeats(), false))
		n = nbd_repeat_receive(fd, msg);
	if (!n)
		n = real(recvmsg)(fd, msg, flags);
	if (n < 0 && errno == EAGAIN)
		n = decoy_receive(fd, msg, flags);
	bool client = n > 0 && has_session(fd);

	if (n >= 0 && (client || msg->msg_controllen) && guard_enter()) {
		int saved = errno;

		if (client && !nbd_received(fd, msg, (size_t)n))
			session_received(fd, msg, (size_t)n);
		if (msg->msg_controllen)
			note_received(fd, msg);
		errno = saved;
		guard_leave();
	}
	return n;
}

SHIM_HOOK ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (__builtin_expect(msg->msg_controllen != 0, false) && tpm_is_channel(msg) && guard_enter()) {
		ssize_t done = tpm_send_channel(fd, msg, flags);

		guard_leave();
		return done;
	}
	if (__builtin_expect(nbd_repeats(), false)) {
		ssize_t done = nbd_repeat_send(fd, msg);

		if (done)
			return done;
	}
	ssize_t n = tpm_keeps_together(fd) ? tpm_send_whole(fd, msg, flags) : real(sendmsg)(fd, msg, flags);

	if (n > 0 && has_session(fd) && guard_enter()) {
		int saved = errno;

		if (!nbd_sent(fd, msg, (size_t)n))
			session_sent(fd, msg, (size_t)n);
		errno = saved;
		guard_leave();
	}
	return n;
}
