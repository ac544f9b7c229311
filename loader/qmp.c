/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qmp.c - a QMP client; see qmp.h. */
#include "qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../shim/main_call.h"
#include "../shim/real.h"
#include "changes.h"
#include "clock.h"
#include "ending.h"

/* The longest line taken: query-qmp-schema is never asked for, so a few MiB hold any answer. */
#define LINE_MAX_BYTES (32u << 20)
/* How long QEMU may take from SHUTDOWN to the end of its monitors; one that stays (-no-shutdown) answers after that. */
#define ENDING_MS 5000
/* What ends a request, and a line */
#define LAST_BYTES 2

struct qmp qmp_private = { .fd = -1 };

static void forget_foreseen(struct qmp *q)
{
	while (q->foreseen_count)
		free(q->foreseen[--q->foreseen_count]);
}

/** qmp_release() - free what a client has read; its socket stays the caller's */
void qmp_release(struct qmp *q)
{
	free(q->buf);
	forget_foreseen(q);
	*q = (struct qmp){ .fd = -1 };
}

/** qmp_in_ms() - a deadline */
uint64_t qmp_in_ms(unsigned int ms)
{
	return clock_now() + (uint64_t)ms * 1000000;
}

/* Wait for input until the deadline and add it to the buffer. */
static int fill(struct qmp *q, uint64_t deadline_ns)
{
	if (q->size - q->len < 65536) {
		if (q->size > LINE_MAX_BYTES)
			return -EMSGSIZE;
		char *bigger = realloc(q->buf, q->size * 2 + 131072);
		if (!bigger)
			return -ENOMEM;
		q->buf = bigger;
		q->size = q->size * 2 + 131072;
	}
	struct pollfd wait = { .fd = q->fd, .events = POLLIN };
	int ready = poll(&wait, 1, clock_left_ms(deadline_ns));
	if (ready < 0)
		return errno == EINTR ? 0 : -errno;
	if (!ready)
		return clock_left_ms(deadline_ns) ? 0 : -ETIMEDOUT;
	ssize_t n = read(q->fd, q->buf + q->len, q->size - q->len);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (!n)
		return -EPIPE;
	q->len += (size_t)n;
	return 0;
}

/* The next line, without its end, valid until the next call. */
static int next_line(struct qmp *q, char **ret, uint64_t deadline_ns)
{
	if (q->line_len) {
		memmove(q->buf, q->buf + q->line_len, q->len - q->line_len);
		q->len -= q->line_len;
		q->line_len = 0;
	}
	for (;;) {
		char *end = q->len ? memchr(q->buf, '\n', q->len) : NULL;

		if (end) {
			q->line_len = (size_t)(end - q->buf) + 1;
			*end = '\0';
			*ret = q->buf;
			return 0;
		}
		int rc = fill(q, deadline_ns);
		if (rc)
			return rc;
	}
}

static void note_event(struct qmp *q, const json_t *message)
{
	const char *event = json_string_value(json_object_get(message, "event"));
	const json_t *data = json_object_get(message, "data");

	if (!event)
		return;
	if (q == &qmp_private)
		changes_event(event, json_string_value(json_object_get(data, "device")));
	if (!strcmp(event, "RESUME"))
		q->resumed = true;
	else if (!strcmp(event, "RESET"))
		q->reset = true;
	else if (!strcmp(event, "SHUTDOWN"))
		q->ending = true;
	else if (!strcmp(event, "MIGRATION"))
		snprintf(q->migration, sizeof(q->migration), "%s", json_string_value(json_object_get(data, "status")));
}

/** qmp_forget_events() - start anew to look for events */
void qmp_forget_events(struct qmp *q)
{
	q->resumed = q->reset = false;
	q->migration[0] = '\0';
}

/* The next message; events are noted and given out too. */
static int next_message(struct qmp *q, json_t **ret, uint64_t deadline_ns)
{
	char *line;
	int rc = next_line(q, &line, deadline_ns);

	if (rc)
		return rc;
	*ret = json_loads(line, 0, NULL);
	if (!*ret)
		return -EBADMSG;
	note_event(q, *ret);
	return 0;
}

/** qmp_wait_event() - wait for one event. Return: 0, or -ETIMEDOUT or another negative errno. */
int qmp_wait_event(struct qmp *q, uint64_t deadline_ns)
{
	json_t *message;
	int rc = next_message(q, &message, deadline_ns);

	if (!rc)
		json_decref(message);
	return rc;
}

/** qmp_drain() - take what has come in unasked */
void qmp_drain(struct qmp *q)
{
	while (!qmp_wait_event(q, 0))
		;
}

static int send_all(struct qmp *q, const char *text, size_t len, uint64_t deadline_ns)
{
	while (len) {
		struct pollfd wait = { .fd = q->fd, .events = POLLOUT };
		ssize_t n = write(q->fd, text, len);

		if (n > 0) {
			text += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			if (!poll(&wait, 1, clock_left_ms(deadline_ns)))
				return -ETIMEDOUT;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

/**
 * qmp_send_first() - send the first byte of a request, and a descriptor with it
 * @fd:		the other end of a monitor's connection
 * @byte:	the byte
 * @descriptor: the descriptor
 *
 * Return: 0 or a negative errno.
 */
int qmp_send_first(int fd, char byte, int descriptor)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	struct iovec part = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &descriptor, sizeof(descriptor));
	return real(sendmsg)(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* QEMU has passed a request on when it reads what follows it: a line's end. */
static char *text_of(const char *name, json_t *arguments, unsigned int id)
{
	json_t *message = json_pack("{s:s, s:i, s:O*}", "execute", name, "id", (int)id, "arguments", arguments);
	char *json = message ? json_dumps(message, JSON_COMPACT) : NULL, *text = NULL;

	if (json && asprintf(&text, "%s\n", json) < 0)
		text = NULL;
	free(json);
	json_decref(message);
	return text;
}

static int begin_foreseen(struct qmp *q, uint64_t deadline_ns)
{
	return q->foreseen_count ? send_all(q, q->foreseen[0], strlen(q->foreseen[0]) - LAST_BYTES, deadline_ns) : 0;
}

/* What was begun ends what QEMU reads, and begins what it reads next while it does that. */
static int end_foreseen(struct qmp *q, uint64_t deadline_ns)
{
	char *text = q->foreseen[0];
	int rc = send_all(q, text + strlen(text) - LAST_BYTES, LAST_BYTES, deadline_ns);

	free(text);
	memmove(q->foreseen, q->foreseen + 1, --q->foreseen_count * sizeof(q->foreseen[0]));
	return rc ? rc : begin_foreseen(q, deadline_ns);
}

/* A byte that is in no text makes QEMU drop what it has read; it says so, without an id (qobject/json-lexer.c). */
static int abandon_foreseen(struct qmp *q, uint64_t deadline_ns)
{
	int rc = q->foreseen_count ? send_all(q, "\xff", 1, deadline_ns) : 0;

	forget_foreseen(q);
	return rc;
}

static int send_command(struct qmp *q, const char *name, json_t *arguments, int descriptor, unsigned int *ret_id,
			uint64_t deadline_ns)
{
	*ret_id = q->next_id + 1 - (unsigned int)q->foreseen_count;
	char *text = text_of(name, arguments, *ret_id);
	size_t sent = text && descriptor >= 0;
	int rc = text ? 0 : -ENOMEM;

	if (!rc && !sent && q->foreseen_count && !strcmp(text, q->foreseen[0])) {
		rc = end_foreseen(q, deadline_ns);
	} else if (!rc) {
		rc = abandon_foreseen(q, deadline_ns);
		q->next_id = *ret_id;
		if (!rc && sent)
			rc = qmp_send_first(q->fd, text[0], descriptor);
		if (!rc)
			rc = send_all(q, text + sent, strlen(text + sent), deadline_ns);
	}
	free(text);
	return rc;
}

/**
 * qmp_foresee() - tell of the command that will be given next, after those foreseen already
 * @q:	       the client
 * @name:      the command
 * @arguments: its arguments, or NULL; the reference is taken
 *
 * QEMU reads a command byte by byte, going through its loop for each (monitor/monitor.c:monitor_can_read): some 4
 * microseconds a byte. What is foreseen is sent but for its end, and read before its time has come. A command that
 * was not foreseen may be given all the same; then all that was is forgotten.
 */
void qmp_foresee(struct qmp *q, const char *name, json_t *arguments)
{
	char *text = q->foreseen_count < QMP_FORESEEN ? text_of(name, arguments, q->next_id + 1) : NULL;

	json_decref(arguments);
	if (!text)
		return;
	q->next_id++;
	q->foreseen[q->foreseen_count++] = text;
	if (q->foreseen_count == 1 && begin_foreseen(q, qmp_in_ms(ENDING_MS)))
		forget_foreseen(q);
}

static json_t *fail(char error[QMP_ERROR_MAX], const char *name, int rc)
{
	snprintf(error, QMP_ERROR_MAX, "QEMU did not answer \"%s\": %s", name, strerror(-rc));
	return NULL;
}

/* Nothing is asked of a QEMU that is about to exit (loader/ending.h). */
static int let_it_end(struct qmp *q)
{
	uint64_t until = qmp_in_ms(ENDING_MS);
	int rc = 0;

	qmp_drain(q);
	while (q->ending && !rc)
		rc = qmp_wait_event(q, until);
	if (rc == -ETIMEDOUT)
		q->ending = false;
	return q->ending ? rc : 0;
}

/* A QEMU that is about to exit does so without having read it, or has read it when it goes on. */
static int send_in_time(struct qmp *q, struct qmp_call *call, int descriptor, uint64_t deadline_ns)
{
	int rc;

	do {
		rc = let_it_end(q);
		if (rc)
			return rc;
		ending_hold();
		qmp_drain(q);
		rc = q->ending ? -ESHUTDOWN
			       : send_command(q, call->name, call->arguments, descriptor, &call->id, deadline_ns);
		ending_release();
	} while (rc == -ESHUTDOWN);
	return rc;
}

static int begin(struct qmp *q, struct qmp_call *call, int descriptor, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	int rc = send_in_time(q, call, descriptor, deadline_ns);

	json_decref(call->arguments);
	q->unanswered = rc != 0;
	if (rc)
		fail(error, call->name, rc);
	return rc;
}

/**
 * qmp_begin() - send a command
 * @q:		 the client
 * @call:	 the command; the reference to its arguments is taken
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 on failure: why
 *
 * qmp_end() follows, and no other command before that.
 *
 * Return: 0 or a negative errno.
 */
int qmp_begin(struct qmp *q, struct qmp_call *call, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	return begin(q, call, -1, deadline_ns, error);
}

/**
 * qmp_end() - wait for the answer to what was begun
 * @q:		 the client
 * @call:	 the command
 * @deadline_ns: CLOCK_MONOTONIC; after it the answer, if it comes, is dropped
 * @error:	 on failure: why, in QEMU's words where it answered
 *
 * Return: the value of "return", a new reference, or NULL.
 */
json_t *qmp_end(struct qmp *q, const struct qmp_call *call, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	for (;;) {
		json_t *message;
		int rc = next_message(q, &message, deadline_ns);

		if (rc) {
			q->unanswered = true;
			return fail(error, call->name, rc);
		}
		json_t *got = json_object_get(message, "id");
		if (!json_is_integer(got) || json_integer_value(got) != (json_int_t)call->id) {
			json_decref(message);
			continue;
		}
		json_t *answer = json_incref(json_object_get(message, "return"));
		if (!answer)
			snprintf(error, QMP_ERROR_MAX, "%s",
				 json_string_value(json_object_get(json_object_get(message, "error"), "desc")));
		json_decref(message);
		return answer;
	}
}

/** qmp_command() - qmp_begin() and qmp_end() */
json_t *qmp_command(struct qmp *q, const char *name, json_t *arguments, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	struct qmp_call call = { .name = name, .arguments = arguments };

	return qmp_begin(q, &call, deadline_ns, error) ? NULL : qmp_end(q, &call, deadline_ns, error);
}

/**
 * qmp_getfd() - pass a descriptor in
 * @name:	 its name in that monitor
 * @descriptor:	 the descriptor
 * @deadline_ns: as qmp_command()'s
 * @error:	 as qmp_command()'s
 *
 * Return: 0, or -EIO with @error set.
 */
int qmp_getfd(struct qmp *q, const char *name, int descriptor, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	struct qmp_call call = { .name = "getfd", .arguments = json_pack("{s:s}", "fdname", name) };
	int rc = begin(q, &call, descriptor, deadline_ns, error);
	json_t *answer = rc ? NULL : qmp_end(q, &call, deadline_ns, error);

	json_decref(answer);
	return answer ? 0 : -EIO;
}

/** qmp_do() - qmp_command() where the answer says nothing. Return: 0, or -EIO with @error set. */
int qmp_do(struct qmp *q, const char *name, json_t *arguments, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	json_t *answer = qmp_command(q, name, arguments, deadline_ns, error);

	json_decref(answer);
	return answer ? 0 : -EIO;
}

/**
 * qmp_hmp() - run a command of the human monitor, for what QMP has no word for
 * @line:	 the command
 * @deadline_ns: as qmp_command()'s
 *
 * Return: what it printed, to be freed, or NULL.
 */
char *qmp_hmp(struct qmp *q, const char *line, uint64_t deadline_ns)
{
	char error[QMP_ERROR_MAX];
	json_t *answer =
		qmp_command(q, "human-monitor-command", json_pack("{s:s}", "command-line", line), deadline_ns, error);
	char *text = NULL;

	if (json_is_string(answer))
		text = strdup(json_string_value(answer));
	json_decref(answer);
	return text;
}

/**
 * qmp_handshake() - wait for the greeting and negotiate
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * With "oob" QEMU reads the next command while it carries one out, see qmp_foresee(); a socket's monitor can always have that.
 *
 * Return: 0 or a negative errno.
 */
int qmp_handshake(struct qmp *q, uint64_t deadline_ns)
{
	char error[QMP_ERROR_MAX];
	json_t *oob = json_pack("{s:[s]}", "enable", "oob");

	/* The command may be sent before the greeting has come; QEMU reads it when it is ready. */
	return qmp_do(q, "qmp_capabilities", oob, deadline_ns, error) ? -ETIMEDOUT : 0;
}

/**
 * qmp_call_on_main() - run a function on QEMU's main thread, with its big lock (shim/main_call.h)
 * @fn:		 the function
 * @opaque:	 passed to it; static
 * @deadline_ns: as qmp_command()'s
 *
 * Return: 0, or -EIO where QEMU did not do it.
 */
int qmp_call_on_main(void (*fn)(void *opaque), void *opaque, uint64_t deadline_ns)
{
	char error[QMP_ERROR_MAX];

	if (main_call_begin(fn, opaque))
		return main_call_end(deadline_ns);
	/* It has been called when this is answered, if at all. */
	qmp_do(&qmp_private, "pmemsave",
	       json_pack("{s:i, s:i, s:s}", "val", 0, "size", 1, "filename", main_call_name()), deadline_ns, error);
	return main_call_end(0);
}
