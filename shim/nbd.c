/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nbd.c - connections to NBD servers; see nbd.h. */
#include "nbd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "nbdprobe.h"
#include "preserved.h"
#include "real.h"
#include "slots.h"

#define TALKS	  256
#define WORDS_MAX 16384
/* How long a server has to answer, and how often it is asked while there is no other way. */
#define ANSWER_MS 3000
#define AGAIN_NS  200000000

/* A server speaks first; then come options, then requests (QEMU's nbd/client.c:nbd_send_request). */
enum phase { FREE, CONNECTED, TALKING, AGREED, REPEATING };

/**
 * struct talk - a connection that QEMU made; one of another protocol is forgotten at its first bytes
 * @spare: the server serves another client beside this one
 * @again: REPEATING: what is told again
 * @said_again, @heard_again: how far
 */
struct talk {
	int fd;
	enum phase phase;
	uint8_t *said;
	size_t said_len;
	uint8_t *heard;
	size_t heard_len;
	bool lost;
	bool spare;
	struct kept *again;
	size_t said_again;
	size_t heard_again;
};

/**
 * struct kept - on the way back: what the old QEMU was connected to
 * @fd: one of ours, or -1
 * @taken: QEMU has asked for it
 */
struct kept {
	struct sockaddr_storage addr;
	socklen_t addr_len;
	int fd;
	struct nbd_words words;
	bool taken;
};

static struct talk talks[TALKS];
static int count;
static struct kept kept[TALKS];
static size_t kept_count;
/* QEMU connects in a thread of its own (nbd/client-connection.c:connect_thread_func), and talks in its loops. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int nbd_repeating;

static struct talk *find(int fd)
{
	for (size_t i = 0; i < TALKS; i++)
		if (talks[i].phase != FREE && talks[i].fd == fd)
			return &talks[i];
	return NULL;
}

static void drop(struct talk *t)
{
	if (!t)
		return;
	if (t->phase == REPEATING)
		__atomic_fetch_sub(&nbd_repeating, 1, __ATOMIC_RELEASE);
	free(t->said);
	free(t->heard);
	*t = (struct talk){ .phase = FREE };
	__atomic_fetch_sub(&count, 1, __ATOMIC_RELEASE);
}

static struct talk *make(int fd, enum phase phase)
{
	drop(find(fd));
	for (size_t i = 0; i < TALKS; i++) {
		if (talks[i].phase != FREE)
			continue;
		talks[i] = (struct talk){ .fd = fd, .phase = phase };
		__atomic_fetch_add(&count, 1, __ATOMIC_RELEASE);
		return &talks[i];
	}
	return NULL;
}

/** nbd_connected() - QEMU has connected a socket, to whatever it may be */
void nbd_connected(int fd)
{
	pthread_mutex_lock(&lock);
	make(fd, CONNECTED);
	pthread_mutex_unlock(&lock);
}

/** nbd_closed() - a connection is about to be closed */
void nbd_closed(int fd)
{
	if (!__atomic_load_n(&count, __ATOMIC_ACQUIRE))
		return;
	pthread_mutex_lock(&lock);
	drop(find(fd));
	pthread_mutex_unlock(&lock);
}

static size_t first_bytes(const struct msghdr *msg, size_t len, void *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < msg->msg_iovlen && n < max && n < len; i++) {
		size_t part = msg->msg_iov[i].iov_len;

		part = part > max - n ? max - n : part;
		part = part > len - n ? len - n : part;
		memcpy((uint8_t *)ret + n, msg->msg_iov[i].iov_base, part);
		n += part;
	}
	return n;
}

static void note(struct talk *t, uint8_t **words, size_t *words_len, const struct msghdr *msg, size_t len)
{
	if (!*words)
		*words = malloc(WORDS_MAX);
	t->lost |= !*words || len > WORDS_MAX - *words_len;
	if (!t->lost)
		*words_len += first_bytes(msg, len, *words + *words_len, len);
}

static bool is_request(const struct msghdr *msg, size_t len)
{
	/* NBD_REQUEST_MAGIC and NBD_EXTENDED_REQUEST_MAGIC (include/block/nbd.h) */
	static const uint8_t magic[][4] = { { 0x25, 0x60, 0x95, 0x13 }, { 0x21, 0xe4, 0x1c, 0x71 } };
	uint8_t head[4];

	return first_bytes(msg, len, head, sizeof(head)) == sizeof(head) &&
	       (!memcmp(head, magic[0], sizeof(head)) || !memcmp(head, magic[1], sizeof(head)));
}

/* NBD_OPT_STARTTLS: what follows cannot be read, nor be told again. */
static bool starts_tls(const struct talk *t)
{
	static const uint8_t option[] = { 'I', 'H', 'A', 'V', 'E', 'O', 'P', 'T', 0, 0, 0, 5, 0, 0, 0, 0 };

	return t->said_len >= sizeof(option) && !memcmp(t->said + t->said_len - sizeof(option), option, sizeof(option));
}

/**
 * nbd_sent() - QEMU has sent on a connection
 *
 * Return: it is one to an NBD server.
 */
bool nbd_sent(int fd, const struct msghdr *msg, size_t len)
{
	bool is_one = false;

	if (!__atomic_load_n(&count, __ATOMIC_ACQUIRE))
		return false;
	pthread_mutex_lock(&lock);
	struct talk *t = find(fd);
	if (t && t->phase == CONNECTED) {
		drop(t);
	} else if (t) {
		is_one = true;
		if (t->phase == TALKING && is_request(msg, len))
			t->phase = AGREED;
		if (t->phase == TALKING) {
			note(t, &t->said, &t->said_len, msg, len);
			t->lost |= starts_tls(t);
		}
	}
	pthread_mutex_unlock(&lock);
	return is_one;
}

/**
 * nbd_received() - QEMU has read from a connection
 *
 * Return: it is one to an NBD server.
 */
bool nbd_received(int fd, const struct msghdr *msg, size_t len)
{
	static const char greeting[] = "NBDMAGIC"; /* NBD_INIT_MAGIC, which QEMU reads by itself */
	char head[8];
	bool is_one = false;

	if (!__atomic_load_n(&count, __ATOMIC_ACQUIRE))
		return false;
	pthread_mutex_lock(&lock);
	struct talk *t = find(fd);
	if (t && t->phase == CONNECTED) {
		if (first_bytes(msg, len, head, sizeof(head)) == sizeof(head) && !memcmp(head, greeting, sizeof(head)))
			t->phase = TALKING;
		else
			drop(t);
	}
	if (t && t->phase != FREE) {
		is_one = true;
		if (t->phase == TALKING)
			note(t, &t->heard, &t->heard_len, msg, len);
	}
	pthread_mutex_unlock(&lock);
	return is_one;
}

/** nbd_is_one() - does QEMU talk to an NBD server here? */
bool nbd_is_one(int fd)
{
	pthread_mutex_lock(&lock);
	const struct talk *t = find(fd);
	bool is_one = t && t->phase > CONNECTED;
	pthread_mutex_unlock(&lock);
	return is_one;
}

/** nbd_words() - what was said on a connection before the first request; for as long as it is open */
struct nbd_words nbd_words(int fd)
{
	struct nbd_words words = { .lost = true };

	pthread_mutex_lock(&lock);
	const struct talk *t = find(fd);
	if (t)
		words = (struct nbd_words){ t->said, t->said_len, t->heard, t->heard_len,
					    t->lost || t->phase == TALKING };
	pthread_mutex_unlock(&lock);
	return words;
}

/** nbd_set_spare() - the server serves another client beside this one, or not */
void nbd_set_spare(int fd, bool spare)
{
	pthread_mutex_lock(&lock);
	struct talk *t = find(fd);
	if (t)
		t->spare = spare;
	pthread_mutex_unlock(&lock);
}

/** nbd_is_spare() - could a successor connect while this connection is kept? */
bool nbd_is_spare(int fd)
{
	pthread_mutex_lock(&lock);
	const struct talk *t = find(fd);
	bool spare = t && t->spare;
	pthread_mutex_unlock(&lock);
	return spare;
}

/**
 * nbd_adopt() - on the way back: what the old QEMU was connected to
 * @addr, @addr_len: address as given to connect()
 * @fd:		     its connection, one of ours until nbd_release(); or -1
 * @words:	     what was said on it; stays where it is
 *
 * Return: 0 or a negative errno.
 */
int nbd_adopt(const struct sockaddr *addr, socklen_t addr_len, int fd, const struct nbd_words *words)
{
	struct kept *k = &kept[kept_count < TALKS ? kept_count : 0];

	if (kept_count == TALKS || addr_len > sizeof(k->addr) || words->heard_len > WORDS_MAX)
		return -E2BIG;
	*k = (struct kept){ .addr_len = addr_len, .fd = fd, .words = *words };
	memcpy(&k->addr, addr, addr_len);
	kept_count++;
	return 0;
}

/** nbd_release() - the way back is over */
void nbd_release(void)
{
	pthread_mutex_lock(&lock);
	kept_count = 0;
	pthread_mutex_unlock(&lock);
}

static bool is_at(const struct kept *k, const struct sockaddr *addr, socklen_t len)
{
	return preserved_same_address((const struct sockaddr *)&k->addr, k->addr_len, addr, len);
}

/* One that its server has closed reads as at its end; a server that waits for requests says nothing. */
static bool is_open(int fd)
{
	char byte;

	return fd >= 0 && real(recv)(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* Another one at the same address, for which QEMU says what it has said here. */
static struct kept *find_kept(const struct sockaddr *addr, socklen_t len, const uint8_t *said, size_t said_len)
{
	for (size_t i = 0; i < kept_count; i++) {
		struct kept *k = &kept[i];

		if (!k->taken && is_at(k, addr, len) && is_open(k->fd) && said_len <= k->words.said_len &&
		    (!said_len || !memcmp(k->words.said, said, said_len)))
			return k;
	}
	return NULL;
}

static int give(const struct kept *k, int fd)
{
	int flags = real(fcntl)(fd, F_GETFD);

	return flags < 0 || real(dup3)(k->fd, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) < 0 ? -errno : 0;
}

static bool repeat(int fd, const struct sockaddr *addr, socklen_t len)
{
	struct kept *k = find_kept(addr, len, NULL, 0);
	struct talk *t = k && !give(k, fd) ? make(fd, REPEATING) : NULL;

	if (!t)
		return false;
	k->taken = true;
	t->again = k;
	t->said = malloc(WORDS_MAX);
	__atomic_fetch_add(&nbd_repeating, 1, __ATOMIC_RELEASE);
	return t->said != NULL;
}

/* QEMU would end if it could not connect. */
static void wait_for_server(const struct kept *k)
{
	const struct timespec pause = { .tv_nsec = AGAIN_NS };
	int rc, said = 0;

	while ((rc = nbdprobe_run((const struct sockaddr *)&k->addr, k->addr_len, k->words.said, k->words.said_len,
				  ANSWER_MS))) {
		if (said != rc)
			log_error(
				"the NBD server of a disk does not serve it (%s): the guest stands still until it does",
				strerror(-rc));
		said = rc;
		nanosleep(&pause, NULL);
	}
	if (said)
		log_warn("the NBD server of a disk serves it again");
}

/**
 * nbd_return_to() - for the hook of connect(), on the way back
 * @fd:		QEMU's socket
 * @addr, @len: where it is to be connected to
 *
 * Where that is an NBD server's address, returns only when there is a connection or a server that takes one.
 *
 * Return: @fd is the old QEMU's connection now.
 */
bool nbd_return_to(int fd, const struct sockaddr *addr, socklen_t len)
{
	const struct kept *known = NULL;

	pthread_mutex_lock(&lock);
	bool given = repeat(fd, addr, len);
	for (size_t i = 0; !given && i < kept_count; i++)
		if (is_at(&kept[i], addr, len))
			known = &kept[i];
	pthread_mutex_unlock(&lock);
	if (known)
		wait_for_server(known);
	return given;
}

/* Nothing has been sent yet: where QEMU asks for another export than was thought, it gets that one's connection. */
static int say_again(struct talk *t, const struct msghdr *msg, size_t len)
{
	if (len > WORDS_MAX - t->said_again)
		return -EPIPE;
	first_bytes(msg, len, t->said + t->said_again, len);
	t->said_again += len;
	t->again->taken = false;
	struct kept *k = find_kept((struct sockaddr *)&t->again->addr, t->again->addr_len, t->said, t->said_again);
	if (t->again->words.said_len >= t->said_again && !memcmp(t->again->words.said, t->said, t->said_again))
		k = t->again; /* it may have been closed since: then the server is waited for as QEMU does */
	if (k && k != t->again && give(k, t->fd))
		k = NULL;
	t->again = k ? k : t->again;
	t->again->taken = true;
	return k ? 0 : -EPIPE;
}

/* It has all been said: from here on the server answers, and what was said is known for the next update. */
static void end_repeating(struct talk *t)
{
	const struct nbd_words *w = &t->again->words;

	t->heard = malloc(WORDS_MAX);
	t->lost = !t->heard;
	if (t->heard)
		memcpy(t->heard, w->heard, w->heard_len);
	t->heard_len = t->heard ? w->heard_len : 0;
	t->said_len = t->said_again;
	t->phase = AGREED;
	__atomic_fetch_sub(&nbd_repeating, 1, __ATOMIC_RELEASE);
}

/**
 * nbd_repeat_send() - for the hook of sendmsg(): QEMU says to a kept connection's server what that was told already
 *
 * Return: as sendmsg's, or 0 where that is for the server itself.
 */
ssize_t nbd_repeat_send(int fd, const struct msghdr *msg)
{
	size_t len = 0;
	int rc = 0;

	for (size_t i = 0; i < msg->msg_iovlen; i++)
		len += msg->msg_iov[i].iov_len;
	pthread_mutex_lock(&lock);
	struct talk *t = find(fd);
	bool again = t && t->phase == REPEATING;
	if (again && t->said_again == t->again->words.said_len) {
		end_repeating(t);
		again = false;
	}
	if (again)
		rc = say_again(t, msg, len);
	pthread_mutex_unlock(&lock);
	if (rc) {
		log_error("an NBD server is asked for another export than before the update");
		errno = -rc;
		return -1;
	}
	return again ? (ssize_t)len : 0;
}

/**
 * nbd_repeat_receive() - for the hook of recvmsg(): what the server answered then
 *
 * Return: as recvmsg's, or 0 where the server itself is to be read from.
 */
ssize_t nbd_repeat_receive(int fd, struct msghdr *msg)
{
	size_t n = 0;

	pthread_mutex_lock(&lock);
	struct talk *t = find(fd);
	const struct nbd_words *w = t && t->phase == REPEATING ? &t->again->words : NULL;
	for (size_t i = 0; w && i < msg->msg_iovlen; i++) {
		size_t left = w->heard_len - t->heard_again, part = msg->msg_iov[i].iov_len;

		part = part < left ? part : left;
		memcpy(msg->msg_iov[i].iov_base, w->heard + t->heard_again, part);
		t->heard_again += part;
		n += part;
	}
	pthread_mutex_unlock(&lock);
	if (n) {
		msg->msg_controllen = 0;
		msg->msg_flags = 0;
	}
	return (ssize_t)n;
}
