/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wire.c - what QEMU wrote on a monitor's decoy; see wire.h. */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../state/jsonscan.h"
#include "clock.h"

#define WIRE_MAX (16u << 20)

/** wire_read() - take all that is there. Return: 0 or a negative errno. */
int wire_read(struct wire *w, struct decoy *d)
{
	char buf[16384];

	for (;;) {
		ssize_t n = decoy_read(d, buf, sizeof(buf));

		/* The other end is reset where QEMU's side was closed with input unread: by the switch. */
		if (n <= 0)
			return n == -ECONNRESET ? 0 : (int)n;
		if (w->len + (size_t)n > WIRE_MAX)
			return -EMSGSIZE;
		char *bigger = realloc(w->data, w->len + (size_t)n);
		if (!bigger)
			return -ENOMEM;
		memcpy(bigger + w->len, buf, (size_t)n);
		w->data = bigger;
		w->len += (size_t)n;
	}
}

static bool is_event(const char *line, size_t len, const char *const names[])
{
	char pattern[64];

	for (size_t i = 0; names[i]; i++) {
		int n = snprintf(pattern, sizeof(pattern), "\"event\": \"%s\"", names[i]);

		if (memmem(line, len, pattern, (size_t)n))
			return true;
	}
	return false;
}

/*
 * Where the message at @data ends. Each begins with a brace at the start of a line; a monitor in mode "pretty" indents
 * all that is inside of it.
 */
static size_t message_length(const char *data, size_t len)
{
	const char *at = data;

	while ((at = memchr(at, '\n', len - (size_t)(at - data)))) {
		at++;
		if (at == data + len || *at == '{')
			return (size_t)(at - data);
	}
	return len;
}

/**
 * wire_drop_events() - remove events
 * @w:	   what was read
 * @names: which, ended by NULL
 *
 * The first message may be the rest of one that QEMU had begun to send.
 */
void wire_drop_events(struct wire *w, const char *const names[])
{
	size_t from = 0, to = 0;

	while (from < w->len) {
		size_t len = message_length(w->data + from, w->len - from);

		if (!is_event(w->data + from, len, names)) {
			memmove(w->data + to, w->data + from, len);
			to += len;
		}
		from += len;
	}
	w->len = to;
}

/**
 * wire_take() - remove one message
 * @w:	  what was read, from the start of a message
 * @mark: what is in that message only
 *
 * Return: false while it has not come, or not all of it.
 */
bool wire_take(struct wire *w, const char *mark)
{
	struct jsonscan scan = { 0 };
	size_t from = 0;

	for (size_t i = 0; i < w->len; i++) {
		if (jsonscan_feed(&scan, w->data[i]) != JSONSCAN_END)
			continue;
		const char *line_end = memchr(w->data + i, '\n', w->len - i);
		if (!line_end)
			return false;
		size_t end = (size_t)(line_end - w->data) + 1;
		if (memmem(w->data + from, end - from, mark, strlen(mark))) {
			memmove(w->data + from, w->data + end, w->len - end);
			w->len -= end - from;
			return true;
		}
		from = end;
		i = end - 1;
	}
	return false;
}

/** wire_send() - write as much as there is room for, and keep the rest. Return: 0 or a negative errno; full is no error. */
int wire_send(struct wire *w, int fd)
{
	size_t done = 0;
	int rc = 0;

	while (done < w->len) {
		ssize_t n = write(fd, w->data + done, w->len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			rc = errno == EAGAIN ? 0 : -errno;
			break;
		}
		done += (size_t)n;
	}
	memmove(w->data, w->data + done, w->len - done);
	w->len -= done;
	return rc;
}

/**
 * wire_flush() - write all of it, waiting for room
 * @w:	      what was read
 * @fd:	      where it goes
 * @until_ns: CLOCK_MONOTONIC
 *
 * Return: 0 or a negative errno; what was not written is still there.
 */
int wire_flush(struct wire *w, int fd, uint64_t until_ns)
{
	int rc = 0;

	while (!rc && w->len) {
		struct pollfd wait = { .fd = fd, .events = POLLOUT };

		rc = poll(&wait, 1, clock_left_ms(until_ns)) <= 0 ? -ETIMEDOUT : wire_send(w, fd);
	}
	return rc;
}

/** wire_free() - forget it */
void wire_free(struct wire *w)
{
	free(w->data);
	*w = (struct wire){ .data = NULL };
}
