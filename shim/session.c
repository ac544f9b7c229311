/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* session.c - what clients have said and been told; see session.h. */
#include "session.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "protocol.h"

/* More connections than this on listening chardevs at once are kept without a session: they count as unknown. */
#define SESSIONS 128

static struct session sessions[SESSIONS];
static bool used[SESSIONS];
static int unread; /* sessions with bytes that are to be read again */
/* Monitors run in their own thread, other chardevs in the main loop: neither ever enters from a signal handler. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void nobody_asked(int fd, bool hmp, const char *text, size_t len)
{
	(void)fd, (void)hmp, (void)text, (void)len;
}

static void nobody_closed(int fd)
{
	(void)fd;
}

static char escape = 1; /* Ctrl-A */

/** session_set_escape() - the escape character is another (-echr); before main() */
void session_set_escape(char byte)
{
	escape = byte;
}

static const struct session_watch no_watch = { nobody_asked, nobody_asked, nobody_closed };
static const struct session_watch *watch = &no_watch;

/** session_register() - show @w what monitors are asked and answer; before main() */
void session_register(const struct session_watch *w)
{
	watch = w;
}

static struct session *find(int fd)
{
	for (int i = 0; i < SESSIONS; i++)
		if (used[i] && sessions[i].fd == fd)
			return &sessions[i];
	return NULL;
}

static void drop(struct session *s)
{
	if (s->protocol == SESSION_QMP || s->protocol == SESSION_HMP)
		watch->closed(s->fd);
	free(s->partial);
	free(s->packet);
	free(s->out);
	__atomic_sub_fetch(&unread, s->unread != 0, __ATOMIC_RELEASE);
	memset(s, 0, sizeof(*s));
	used[s - sessions] = false;
}

/* A new session; NULL where there is no room. */
static struct session *make(int fd)
{
	for (int i = 0; i < SESSIONS; i++) {
		if (used[i])
			continue;
		used[i] = true;
		sessions[i].fd = fd;
		return &sessions[i];
	}
	return NULL;
}

/** session_open() - a client was accepted as @fd */
void session_open(int fd)
{
	pthread_mutex_lock(&lock);
	struct session *old = find(fd);
	if (old)
		drop(old);
	make(fd);
	pthread_mutex_unlock(&lock);
}

/** session_close() - @fd is about to be closed */
void session_close(int fd)
{
	pthread_mutex_lock(&lock);
	struct session *s = find(fd);
	if (s)
		drop(s);
	pthread_mutex_unlock(&lock);
}

/*
 * In negotiation mode the only command that succeeds is qmp_capabilities (monitor/qmp.c:qmp_cap_negotiation_commands),
 * so the first success ends it. What the request enabled stands in the bytes of it that we kept.
 */
static void watch_negotiation(struct session *s, const char *text, size_t len)
{
	if (s->negotiated || !memmem(text, len, "\"return\"", 8))
		return;
	s->negotiated = true;
	s->oob = s->partial && memmem(s->partial, s->partial_len, "oob", 3);
}

static bool has_messages(const struct session *s)
{
	return s->protocol == SESSION_QMP || s->protocol == SESSION_HMP;
}

static void feed(struct frames *f, const struct msghdr *msg, size_t len)
{
	for (size_t i = 0; i < msg->msg_iovlen && len && !f->broken; i++) {
		size_t take = msg->msg_iov[i].iov_len < len ? msg->msg_iov[i].iov_len : len;

		frames_feed(f, msg->msg_iov[i].iov_base, take);
		len -= take;
	}
}

/* Adds a byte to a buffer of SESSION_PARTIAL_MAX. */
static void append(char **buf, size_t *len, bool *overflow, char byte)
{
	if (!*buf)
		*buf = malloc(SESSION_PARTIAL_MAX);
	if (!*buf || *len >= SESSION_PARTIAL_MAX)
		*overflow = true;
	else
		(*buf)[(*len)++] = byte;
}

/* As it was sent: a telnet client sends a byte 255 twice. */
static void keep(struct session *s, char byte)
{
	if (s->telnet.on && (uint8_t)byte == 0xff)
		append(&s->partial, &s->partial_len, &s->overflow, byte);
	append(&s->partial, &s->partial_len, &s->overflow, byte);
}

/* The end of what is in the output's buffer: shown, and forgotten. */
static void end_output(struct session *s, size_t from, size_t len)
{
	watch->answered(s->fd, s->protocol == SESSION_HMP, s->out_overflow ? NULL : s->out + from, len);
	s->out_len = 0;
	s->out_overflow = false;
}

static void give_qmp(struct session *s, char byte)
{
	enum jsonscan_result end = jsonscan_feed(&s->out_scan, byte);

	if (end == JSONSCAN_MORE && !s->out_scan.started)
		return;
	append(&s->out, &s->out_len, &s->out_overflow, byte);
	if (end == JSONSCAN_END)
		end_output(s, 0, s->out_len);
}

/*
 * Readline echoes a line's end, then comes what its command prints, then the prompt (util/readline.c,
 * readline_handle_byte()).
 */
static void give_hmp(struct session *s, char byte)
{
	static const char prompt[] = "(qemu) ";
	size_t tail = sizeof(prompt) - 1;

	if (!s->out_waits)
		return;
	append(&s->out, &s->out_len, &s->out_overflow, byte);
	if (s->out_overflow || s->out_len < tail || memcmp(s->out + s->out_len - tail, prompt, tail) != 0)
		return;
	const char *echo_end = memchr(s->out, '\n', s->out_len);
	size_t from = echo_end ? (size_t)(echo_end - s->out) + 1 : 0;

	/* A prompt that is still to come from before the line: readline shows it anew while it is edited. */
	if (!echo_end)
		return;
	s->out_waits--;
	end_output(s, from, s->out_len - tail - from);
}

static void watch_output(struct session *s, const struct msghdr *msg, size_t len)
{
	for (size_t i = 0; i < msg->msg_iovlen && len; i++) {
		const char *base = msg->msg_iov[i].iov_base;
		size_t take = msg->msg_iov[i].iov_len < len ? msg->msg_iov[i].iov_len : len;

		for (size_t j = 0; j < take; j++)
			s->protocol == SESSION_QMP ? give_qmp(s, base[j]) : give_hmp(s, base[j]);
		len -= take;
	}
}

/* Only what QEMU sends first; the next program sends it again. */
static bool may_be_greeting(const struct session *s)
{
	return s->telnet.on || (s->protocol == SESSION_UNKNOWN && !s->head_len);
}

/**
 * session_sent() - QEMU has sent on a client's connection
 * @fd:	 descriptor
 * @msg: what it gave to sendmsg()
 * @len: how much of that was sent
 */
void session_sent(int fd, const struct msghdr *msg, size_t len)
{
	char text[SESSION_HEAD];

	pthread_mutex_lock(&lock);
	struct session *s = find(fd);
	if (!s)
		s = make(fd); /* a connection that QEMU made itself */
	if (s && may_be_greeting(s) && protocol_is_telnet_greeting(msg, len)) {
		s->telnet.on = true;
		s = NULL;
	}
	if (s && !has_messages(s))
		feed(&s->frames_out, msg, len);
	if (s && s->protocol == SESSION_UNKNOWN) {
		s->head_len += protocol_head(msg, len, s->head + s->head_len, sizeof(s->head) - s->head_len);
		s->protocol = protocol_of(s->head, s->head_len);
	} else if (s && has_messages(s)) {
		if (s->protocol == SESSION_QMP && !s->negotiated)
			watch_negotiation(s, text, protocol_head(msg, len, text, sizeof(text)));
		watch_output(s, msg, len);
	}
	pthread_mutex_unlock(&lock);
}

static void take_qmp(struct session *s, char byte)
{
	bool first = !s->scan.started;
	enum jsonscan_result end = jsonscan_feed(&s->scan, byte);

	if (end == JSONSCAN_MORE && !s->scan.started)
		return;
	if (first) {
		s->partial_len = 0;
		s->overflow = false;
	}
	keep(s, byte);
	if (end == JSONSCAN_END)
		watch->asked(s->fd, false, s->overflow ? NULL : s->partial, s->partial_len);
}

static void take_hmp(struct session *s, char byte)
{
	/* What a telnet client may send after a carriage return; readline passes over it. */
	if (!byte)
		return;
	keep(s, byte);
	if (byte == '\n' || byte == '\r') {
		if (!s->out_waits) {
			s->out_len = 0;
			s->out_overflow = false;
		}
		s->out_waits++;
		watch->asked(s->fd, true, s->overflow ? NULL : s->partial, s->partial_len - 1);
		s->partial_len = 0;
		s->overflow = false;
	}
}

/* What there is of a packet that is not complete is kept: the rest of it may be the next program's to read. */
static void take_packets(struct session *s, const char *data, size_t len)
{
	size_t tail = frames_feed(&s->frames_in, (const uint8_t *)data, len);

	if (tail < len)
		s->packet_len = 0;
	if (tail && !s->packet)
		s->packet = malloc(FRAMES_MAX);
	if (!s->packet)
		s->frames_in.broken |= tail > 0;
	else if (!s->frames_in.broken)
		memcpy(s->packet + s->packet_len, data + len - tail, tail);
	s->packet_len += s->frames_in.broken ? 0 : tail;
}

/* The last of a line, should it turn out to be one that was typed at a monitor behind a multiplexer. */
static void take_plain(struct session *s, char byte)
{
	if (byte == '\n' || byte == '\r' || s->partial_len >= SESSION_LINE_MAX)
		s->partial_len = 0;
	else
		keep(s, byte);
}

static void take_key(struct session_keys *keys, char byte)
{
	if (!keys->escaped) {
		keys->escaped = byte == escape;
		return;
	}
	keys->escaped = false;
	keys->switches += byte == 'c';
	keys->stamps ^= byte == 't';
}

static void take(struct session *s, char byte)
{
	if (s->protocol == SESSION_QMP) {
		take_qmp(s, byte);
		return;
	}
	take_key(&s->keys, byte);
	if (s->protocol == SESSION_HMP)
		take_hmp(s, byte);
	else
		take_plain(s, byte);
}

/**
 * session_received() - QEMU has read from a client's connection
 * @fd:	 descriptor
 * @msg: the message that recvmsg() filled
 * @len: bytes in it
 */
void session_received(int fd, const struct msghdr *msg, size_t len)
{
	pthread_mutex_lock(&lock);
	struct session *s = find(fd);
	if (!s)
		s = make(fd);
	for (size_t i = 0; s && i < msg->msg_iovlen && len; i++) {
		const char *base = msg->msg_iov[i].iov_base;
		size_t part = msg->msg_iov[i].iov_len < len ? msg->msg_iov[i].iov_len : len;

		if (!has_messages(s) && !s->telnet.on)
			take_packets(s, base, part);
		for (size_t j = 0; j < part && (has_messages(s) || !s->frames_in.seen); j++)
			if (s->unread || telnet_take(&s->telnet, (uint8_t)base[j]))
				take(s, base[j]);
		len -= part;
	}
	pthread_mutex_unlock(&lock);
}

/**
 * session_packet() - what was read of a network packet that is not complete
 * @fd:	     descriptor
 * @ret_len: bytes of it
 *
 * Return: malloc'ed; NULL where there is none, with @ret_len 0, or no memory for it.
 */
char *session_packet(int fd, size_t *ret_len)
{
	char *copy = NULL;

	pthread_mutex_lock(&lock);
	const struct session *s = find(fd);
	*ret_len = s ? s->packet_len : 0;
	if (*ret_len)
		copy = malloc(*ret_len);
	if (copy)
		memcpy(copy, s->packet, *ret_len);
	pthread_mutex_unlock(&lock);
	return copy;
}

/** session_is_broken() - is what was read or sent no sequence of network packets? */
bool session_is_broken(int fd)
{
	pthread_mutex_lock(&lock);
	const struct session *s = find(fd);
	bool broken = s && (s->frames_in.broken || s->frames_out.broken);
	pthread_mutex_unlock(&lock);
	return broken;
}

/** session_is_between() - has QEMU sent the last packet as a whole? */
bool session_is_between(int fd)
{
	pthread_mutex_lock(&lock);
	const struct session *s = find(fd);
	bool between = !s || frames_between(&s->frames_out);
	pthread_mutex_unlock(&lock);
	return between;
}

/**
 * session_copy() - copy a session out
 * @fd:	 descriptor
 * @ret: the copy; its partial is malloc'ed for the caller, or NULL
 *
 * Return: false where there is none.
 */
bool session_copy(int fd, struct session *ret)
{
	pthread_mutex_lock(&lock);
	struct session *s = find(fd);
	if (s) {
		*ret = *s;
		/* Only an unfinished message is handed on; the last finished one may still stand there. */
		if (s->protocol == SESSION_QMP && !s->scan.started)
			ret->partial_len = 0;
		ret->partial = ret->partial_len ? malloc(ret->partial_len) : NULL;
		if (ret->partial)
			memcpy(ret->partial, s->partial, ret->partial_len);
		else if (ret->partial_len)
			ret->overflow = true;
	}
	pthread_mutex_unlock(&lock);
	return s != NULL;
}

/** session_protocol() - what is spoken on a connection: enum session_protocol */
int session_protocol(int fd)
{
	pthread_mutex_lock(&lock);
	const struct session *s = find(fd);
	int protocol = s ? s->protocol : SESSION_UNKNOWN;
	pthread_mutex_unlock(&lock);
	return protocol;
}

/** session_is_telnet() - has QEMU greeted its client as one of telnet's? */
bool session_is_telnet(int fd)
{
	pthread_mutex_lock(&lock);
	const struct session *s = find(fd);
	bool telnet = s && s->telnet.on;
	pthread_mutex_unlock(&lock);
	return telnet;
}

/**
 * session_restore() - a session goes on in this process
 * @fd:		descriptor
 * @protocol:	enum session_protocol
 * @negotiated:	as struct session's
 * @oob:	as struct session's
 *
 * Any unfinished message is written to QEMU again, and so noted by session_received().
 */
void session_restore(int fd, int protocol, bool negotiated, bool oob)
{
	session_open(fd);
	pthread_mutex_lock(&lock);
	struct session *s = find(fd);
	if (s) {
		s->protocol = protocol;
		s->negotiated = negotiated;
		s->oob = oob;
	}
	pthread_mutex_unlock(&lock);
}

/**
 * session_restore_telnet() - the same, of a telnet client's, after session_restore(); the last one counts
 * @fd:	    descriptor
 * @telnet: how far its input was
 *
 * What is begun of a command a monitor is written again; anyone else is given it by session_reread().
 */
void session_restore_telnet(int fd, const struct telnet *telnet)
{
	pthread_mutex_lock(&lock);
	struct session *s = find(fd);
	if (s) {
		__atomic_sub_fetch(&unread, s->unread != 0, __ATOMIC_RELEASE);
		s->telnet = *telnet;
		s->telnet.len = has_messages(s) ? 0 : telnet->len;
		s->unread = s->telnet.len;
		__atomic_add_fetch(&unread, s->unread != 0, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
}

/**
 * session_reread() - for the hook of recvmsg(): what the program before has read of a telnet command
 * @fd:	 descriptor that has something to read, of the client itself
 * @msg: as recvmsg()'s
 *
 * Return: a number of bytes, which were noted as read at the time; 0 where there is none.
 */
size_t session_reread(int fd, const struct msghdr *msg)
{
	size_t n = 0;

	if (__builtin_expect(!__atomic_load_n(&unread, __ATOMIC_ACQUIRE), true))
		return 0;
	pthread_mutex_lock(&lock);
	struct session *s = find(fd);
	if (s && s->unread && msg->msg_iovlen && msg->msg_iov[0].iov_len) {
		n = s->unread < msg->msg_iov[0].iov_len ? s->unread : msg->msg_iov[0].iov_len;
		memcpy(msg->msg_iov[0].iov_base, s->telnet.begun + s->telnet.len - s->unread, n);
		s->unread -= n;
		__atomic_sub_fetch(&unread, !s->unread, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
	return n;
}
