/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* parcel.c - descriptors on their way through a command; see parcel.h. */
#include "parcel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../shim/real.h"
#include "../shim/slots.h"

/* In one message; what is received takes the lowest free numbers first, which must not reach up to those of ours. */
#define MESSAGE_FDS 32

static int sender = -1;

struct message {
	struct iovec io;
	char byte;
	struct msghdr head;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MESSAGE_FDS * sizeof(int))];
	} control;
};

static void set_up(struct message *m)
{
	memset(m, 0, sizeof(*m));
	m->io = (struct iovec){ .iov_base = &m->byte, .iov_len = 1 };
	m->head.msg_iov = &m->io;
	m->head.msg_iovlen = 1;
	m->head.msg_control = m->control.bytes;
	m->head.msg_controllen = sizeof(m->control.bytes);
}

/** parcel_make() - an empty one. Return: its number or a negative errno; the last one's other end is closed. */
int parcel_make(void)
{
	int pair[2];

	sender = slots_close(sender);
	if (real(socketpair)(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	sender = slots_move(pair[1]);
	int parcel = slots_move(pair[0]);
	return sender < 0 ? sender : parcel;
}

/* The descriptors that are in it, in their order. */
static size_t list(const struct execution *e, int parcel, const int direct[2], int ret[EXECUTE_KEEP])
{
	size_t n = 0;

	for (size_t i = 0; i < e->keep.count; i++) {
		int fd = e->keep.fd[i];

		if (fd != parcel && fd != direct[0] && fd != direct[1])
			ret[n++] = fd;
	}
	return n;
}

/**
 * parcel_fill() - put what an exec keeps into it
 * @e:	    what it keeps; only @direct and the parcel will go through the exec by themselves
 * @parcel: from parcel_make()
 * @direct: the two that the next program needs first
 *
 * Return: 0 or a negative errno.
 */
int parcel_fill(struct execution *e, int parcel, const int direct[2])
{
	static int fds[EXECUTE_KEEP];
	size_t n = list(e, parcel, direct, fds);

	for (size_t at = 0, count; at < n; at += count) {
		struct message m;

		count = n - at < MESSAGE_FDS ? n - at : MESSAGE_FDS;
		set_up(&m);
		m.head.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m.head);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(c), fds + at, count * sizeof(int));
		if (real(sendmsg)(sender, &m.head, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			return -errno;
	}
	sender = slots_close(sender);
	for (int i = 0; i < 2; i++)
		execute_carry(e, direct[i]);
	execute_carry(e, parcel);
	return 0;
}

static int take_message(int parcel, const int *numbers, size_t count)
{
	struct message m;
	int got[MESSAGE_FDS];

	set_up(&m);
	if (real(recvmsg)(parcel, &m.head, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
		return -errno;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m.head);
	if (!c || c->cmsg_len != CMSG_LEN(count * sizeof(int)) || m.head.msg_flags & MSG_CTRUNC)
		return -EBADMSG;
	memcpy(got, CMSG_DATA(c), count * sizeof(int));
	for (size_t i = 0; i < count; i++) {
		if (real(dup3)(got[i], numbers[i], O_CLOEXEC) < 0)
			return -errno;
		real(close)(got[i]);
	}
	return 0;
}

/* The way back has nothing under its number, or a pipe (execute_pipe()), which was made when it was free again. */
static bool is_parcel(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_SEQPACKET;
}

/**
 * parcel_take() - in the successor: everything gets its number back
 * @wanted: the execution's list, as the state gives it
 * @parcel: where they are
 * @direct: those that are not in it
 *
 * On the way back and in the guardian there is none, and nothing to do.
 *
 * Return: 0 or a negative errno.
 */
int parcel_take(const struct execution *wanted, int parcel, const int direct[2])
{
	static int fds[EXECUTE_KEEP];
	size_t n = list(wanted, parcel, direct, fds);
	int rc = 0;

	if (!is_parcel(parcel))
		return 0;
	for (size_t at = 0; !rc && at < n; at += MESSAGE_FDS)
		rc = take_message(parcel, fds + at, n - at < MESSAGE_FDS ? n - at : MESSAGE_FDS);
	real(close)(parcel);
	return rc;
}
