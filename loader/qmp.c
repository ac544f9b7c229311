/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* qmp.c - a QMP client; see qmp.h. */
#include "qmp.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/main_call.h"
#include "../shim/real.h"
#include "changes.h"
#include "clock.h"

/* The longest line taken: query-qmp-schema is never asked for, so a few MiB hold any answer. */
#define LINE_MAX_BYTES (32u << 20)
/* How long QEMU may take from SHUTDOWN to the end of its monitors; one that stays (-no-shutdown) answers after that. */
#define ENDING_MS 5000
#define NUDGE_MS  100

struct qmp qmp_private = { .fd = -1 };

/** qmp_release() - free what a client has read; its socket stays the caller's */
void qmp_release(struct qmp *q)
{
	free(q->buf);
	*q = (struct qmp){ .fd = -1 };
}

/** qmp_in_ms() - a deadline */
uint64_t qmp_in_ms(unsigned int ms)
{
	return clock_now() + (uint64_t)ms * 1000000;
}

/*
 * A command that comes in just when QEMU has ended its dispatcher of commands marks that as busy again, and QEMU 7.2 waits
 * for what has ended instead of exiting (monitor/monitor.c:monitor_cleanup): it looks again when a signal interrupts it.
 */
static void nudge_main_thread(void)
{
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2);
}

static int wait_for_input(const struct qmp *q, uint64_t deadline_ns)
{
	struct pollfd wait = { .fd = q->fd, .events = POLLIN };
	int left = clock_left_ms(deadline_ns);

	if (!q->ending)
		return poll(&wait, 1, left);
	int ready = poll(&wait, 1, left < NUDGE_MS ? left : NUDGE_MS);
	if (!ready)
		nudge_main_thread();
	return ready;
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
	int ready = wait_for_input(q, deadline_ns);
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

static int send_command(struct qmp *q, const char *name, json_t *arguments, int descriptor, unsigned int id,
			uint64_t deadline_ns)
{
	json_t *message = json_pack("{s:s, s:i, s:o*}", "execute", name, "id", (int)id, "arguments", arguments);
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	size_t sent = text && descriptor >= 0;
	int rc = text ? 0 : -ENOMEM;

	if (sent)
		rc = qmp_send_first(q->fd, text[0], descriptor);
	if (!rc)
		rc = send_all(q, text + sent, strlen(text + sent), deadline_ns);
	free(text);
	json_decref(message);
	return rc;
}

static json_t *fail(char error[QMP_ERROR_MAX], const char *name, int rc)
{
	snprintf(error, QMP_ERROR_MAX, "QEMU did not answer \"%s\": %s", name, strerror(-rc));
	return NULL;
}

/* Nothing is asked of a QEMU that is about to exit: see nudge_main_thread(). */
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

/* qmp_command() with a descriptor, or -1 */
static json_t *command_with(struct qmp *q, const char *name, json_t *arguments, int descriptor, uint64_t deadline_ns,
			    char error[QMP_ERROR_MAX])
{
	unsigned int id = ++q->next_id;
	int rc = let_it_end(q);

	if (rc)
		json_decref(arguments);
	else
		rc = send_command(q, name, arguments, descriptor, id, deadline_ns);

	q->unanswered = false;

	while (!rc) {
		json_t *message;

		rc = next_message(q, &message, deadline_ns);
		if (rc)
			break;
		json_t *got = json_object_get(message, "id");
		if (!json_is_integer(got) || json_integer_value(got) != (json_int_t)id) {
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
	q->unanswered = true;
	return fail(error, name, rc);
}

/**
 * qmp_command() - send a command and wait for its answer
 * @q:		 the client
 * @name:	 the command
 * @arguments:	 its arguments, or NULL; the reference is taken
 * @deadline_ns: CLOCK_MONOTONIC; after it the answer, if it comes, is dropped
 * @error:	 on failure: why, in QEMU's words where it answered
 *
 * Return: the value of "return", a new reference, or NULL.
 */
json_t *qmp_command(struct qmp *q, const char *name, json_t *arguments, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	return command_with(q, name, arguments, -1, deadline_ns, error);
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
	json_t *answer = command_with(q, "getfd", json_pack("{s:s}", "fdname", name), descriptor, deadline_ns, error);

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
 * Return: 0 or a negative errno.
 */
int qmp_handshake(struct qmp *q, uint64_t deadline_ns)
{
	char error[QMP_ERROR_MAX];

	/* The command may be sent before the greeting has come; QEMU reads it when it is ready. */
	return qmp_do(q, "qmp_capabilities", NULL, deadline_ns, error) ? -ETIMEDOUT : 0;
}

/**
 * qmp_call_on_main() - run a function on QEMU's main thread, with its big lock (shim/main_call.h)
 * @fn:		 the function
 * @opaque:	 passed to it
 * @deadline_ns: as qmp_command()'s
 *
 * Return: 0, or -EIO where QEMU did not do it.
 */
int qmp_call_on_main(void (*fn)(void *opaque), void *opaque, uint64_t deadline_ns)
{
	const char *file = main_call_prepare(fn, opaque);
	char error[QMP_ERROR_MAX];

	qmp_do(&qmp_private, "pmemsave", json_pack("{s:i, s:i, s:s}", "val", 0, "size", 1, "filename", file),
	       deadline_ns, error);
	if (main_call_done())
		return 0;
	main_call_cancel();
	log_debug("the main thread could not be reached: %s", error);
	return -EIO;
}
