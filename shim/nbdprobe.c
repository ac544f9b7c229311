/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbdprobe.c - does an NBD server serve one more client now? See nbdprobe.h.
 *
 * Asks for the export that QEMU has asked for, as far as that changes nothing: NBD_OPT_INFO, and then good-bye
 * (NBD's doc/proto.md).
 */
#include "nbdprobe.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "real.h"

#define OPTION_MAGIC UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define REPLY_MAGIC  UINT64_C(0x0003e889045565a9)
#define NAME_MAX_LEN 4096 /* NBD_MAX_STRING_SIZE */

enum { OPT_EXPORT_NAME = 1, OPT_ABORT = 2, OPT_INFO = 6, OPT_GO = 7 };
enum { REP_ACK = 1, REP_ERROR = 1u << 31, REP_ERR_UNSUP = REP_ERROR | 1 };

struct talk {
	int fd;
	uint64_t until_ms;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int wait_for(const struct talk *t, short events)
{
	struct pollfd p = { .fd = t->fd, .events = events };
	uint64_t now = now_ms();

	if (now >= t->until_ms)
		return -ETIMEDOUT;
	int n = poll(&p, 1, (int)(t->until_ms - now));
	return n < 0 && errno != EINTR ? -errno : n == 0 ? -ETIMEDOUT : 0;
}

static int receive(const struct talk *t, void *data, size_t len)
{
	for (uint8_t *at = data; len;) {
		ssize_t n = real(recv)(t->fd, at, len, MSG_DONTWAIT);
		int rc = 0;

		if (n > 0) {
			at += n;
			len -= (size_t)n;
		} else if (!n) {
			return -ECONNRESET;
		} else {
			rc = errno == EAGAIN || errno == EINTR ? wait_for(t, POLLIN) : -errno;
		}
		if (rc)
			return rc;
	}
	return 0;
}

/* What is said here is short, and fits into an empty socket. */
static int say(const struct talk *t, const void *data, size_t len)
{
	ssize_t n = send(t->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
}

static int skip(const struct talk *t, uint32_t len)
{
	uint8_t waste[512];
	int rc = 0;

	while (len && !rc) {
		uint32_t part = len < sizeof(waste) ? len : sizeof(waste);

		rc = receive(t, waste, part);
		len -= part;
	}
	return rc;
}

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return be32toh(value);
}

static uint64_t get_u64(const uint8_t *at)
{
	return (uint64_t)get_u32(at) << 32 | get_u32(at + 4);
}

static void put_u32(uint8_t *at, uint32_t value)
{
	value = htobe32(value);
	memcpy(at, &value, sizeof(value));
}

static void put_option(uint8_t *at, uint32_t option, uint32_t len)
{
	put_u32(at, OPTION_MAGIC >> 32);
	put_u32(at + 4, (uint32_t)OPTION_MAGIC);
	put_u32(at + 8, option);
	put_u32(at + 12, len);
}

/* The name in NBD_OPT_GO stands behind its length, that in NBD_OPT_EXPORT_NAME is all there is. */
static bool find_name(const uint8_t *said, size_t len, const uint8_t **ret_name, uint32_t *ret_len)
{
	for (size_t at = 4; at + 16 <= len && get_u64(said + at) == OPTION_MAGIC;) {
		uint32_t option = get_u32(said + at + 8), size = get_u32(said + at + 12);
		const uint8_t *data = said + at + 16;

		at += 16;
		if (size > len - at || size > NAME_MAX_LEN)
			return false;
		at += size;
		if (option == OPT_EXPORT_NAME) {
			*ret_name = data;
			*ret_len = size;
			return true;
		}
		if (option == OPT_GO && size >= 6 && get_u32(data) <= size - 6) {
			*ret_name = data + 4;
			*ret_len = get_u32(data);
			return true;
		}
	}
	return false;
}

static int ask_for(const struct talk *t, const uint8_t *name, uint32_t len)
{
	uint8_t request[16 + 4 + NAME_MAX_LEN + 2], reply[20];
	uint32_t type = 0;

	put_option(request, OPT_INFO, len + 6);
	put_u32(request + 16, len);
	memcpy(request + 20, name, len);
	memset(request + 20 + len, 0, 2);
	int rc = say(t, request, 16 + len + 6);
	while (!rc && type != REP_ACK && !(type & REP_ERROR)) {
		rc = receive(t, reply, sizeof(reply));
		if (!rc && get_u64(reply) != REPLY_MAGIC)
			rc = -EPROTO;
		if (!rc)
			rc = skip(t, get_u32(reply + 16));
		type = get_u32(reply + 12);
	}
	if (rc)
		return rc;
	put_option(request, OPT_ABORT, 0);
	say(t, request, 16);
	/* An old server cannot tell; it has let us in. */
	return type == REP_ACK || type == REP_ERR_UNSUP ? 0 : -ENXIO;
}

static int talk_to(const struct talk *t, const uint8_t *said, size_t said_len)
{
	uint8_t greeting[18], flags[4] = { 0 };
	const uint8_t *name;
	uint32_t len;
	int rc = receive(t, greeting, sizeof(greeting));

	if (rc || memcmp(greeting, "NBDMAGIC", 8) != 0)
		return rc ? rc : -EPROTO;
	/* The old style has no options; and without fixed newstyle there is none that asks. */
	if (get_u64(greeting + 8) != OPTION_MAGIC || !(greeting[17] & 1) || !find_name(said, said_len, &name, &len))
		return 0;
	flags[3] = greeting[17] & 3;
	rc = say(t, flags, sizeof(flags));
	return rc ? rc : ask_for(t, name, len);
}

static int open_connection(const struct talk *t, const struct sockaddr *addr, socklen_t addr_len)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (!real(connect)(t->fd, addr, addr_len))
		return 0;
	if (errno == EAGAIN)
		return -ETIMEDOUT; /* a UNIX listener with a full queue */
	if (errno != EINPROGRESS)
		return -errno;
	int rc = wait_for(t, POLLOUT);
	if (!rc && getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		rc = -errno;
	return rc ? rc : -error;
}

/**
 * nbdprobe_run() - does the server serve one more client?
 * @addr, @addr_len: its address
 * @said, @said_len: what QEMU said to it, if that is known: the export that it serves is asked for
 * @timeout_ms:	     how long it may take
 *
 * Return: 0, -ENXIO where it does not serve that export (any more), -ECONNRESET where it lets nobody in, -ETIMEDOUT
 * where it says nothing, or another negative errno.
 */
int nbdprobe_run(const struct sockaddr *addr, socklen_t addr_len, const uint8_t *said, size_t said_len, int timeout_ms)
{
	struct talk t = { .until_ms = now_ms() + (uint64_t)timeout_ms };

	t.fd = real(socket)(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t.fd < 0)
		return -errno;
	int rc = open_connection(&t, addr, addr_len);
	if (!rc)
		rc = talk_to(&t, said, said_len);
	real(close)(t.fd);
	return rc;
}
