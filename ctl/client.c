/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * client.c - the VM's control socket: one request, progress lines, one answer.
 *
 * The VMM is hostile: nothing is sent before the kernel has said that the peer is the process that was asked for, and
 * what comes back is bounded in length and time. Every error is a negative errno for client_strerror().
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"
#include "rundir.h"
#include "text.h"
#include "vmtable.h"

/* All that one connection may bring, progress included. A table of 16384 descriptors takes less. */
#define RECEIVE_MAX  (16 * 1024 * 1024)
#define RECEIVE_STEP (64 * 1024)

/**
 * struct inbox - what was received
 * @fd:		the connection
 * @deadline:	when to give up, in milliseconds of the monotonic clock
 * @buf:	bytes received, RECEIVE_STEP more than used at least whenever they are received
 * @used:	bytes in @buf
 * @start:	first byte of the next line
 */
struct inbox {
	int fd;
	int64_t deadline;
	char *buf;
	size_t used;
	size_t start;
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int wait_for(int fd, short events, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do {
		int64_t left = deadline - now_ms();

		if (left <= 0)
			return -ETIMEDOUT;
		n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
	} while (!n || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

static int send_request(int fd, const json_t *request, int64_t deadline)
{
	char *text = json_dumps(request, JSON_COMPACT | JSON_ENSURE_ASCII);
	size_t len, sent = 0;
	int err = 0;

	if (!text)
		return -ENOMEM;
	len = strlen(text);
	/* the line's end takes the place of the string's */
	text[len++] = '\n';
	while (!err && sent < len) {
		ssize_t n = send(fd, text + sent, len - sent, MSG_NOSIGNAL);

		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			err = wait_for(fd, POLLOUT, deadline);
		else if (errno != EINTR)
			err = errno == EPIPE ? -ECONNRESET : -errno;
	}
	free(text);
	return err;
}

static int receive_some(struct inbox *in)
{
	char *buf;
	ssize_t n;

	if (in->used > RECEIVE_MAX)
		return -EMSGSIZE;
	buf = realloc(in->buf, in->used + RECEIVE_STEP);
	if (!buf)
		return -ENOMEM;
	in->buf = buf;
	for (;;) {
		int err = wait_for(in->fd, POLLIN, in->deadline);

		if (err)
			return err;
		n = recv(in->fd, buf + in->used, RECEIVE_STEP, 0);
		if (n > 0)
			break;
		if (!n)
			return -ECONNRESET;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
	}
	in->used += (size_t)n;
	return 0;
}

/* Return: 0 with a line that stays valid until the next call, without its end. */
static int next_line(struct inbox *in, const char **ret_line, size_t *ret_len)
{
	size_t searched = in->start;

	for (;;) {
		char *end = in->used > searched ? memchr(in->buf + searched, '\n', in->used - searched) : NULL;
		int err;

		if (end) {
			*ret_line = in->buf + in->start;
			*ret_len = (size_t)(end - *ret_line);
			in->start += *ret_len + 1;
			return 0;
		}
		searched = in->used;
		err = receive_some(in);
		if (err)
			return err;
	}
}

static int receive_answer(struct inbox *in, client_progress progress, void *opaque, json_t **ret_answer)
{
	for (;;) {
		const char *text, *type;
		json_t *line;
		size_t len;
		int err = next_line(in, &text, &len);

		if (err)
			return err;
		/* jansson would pass over a NUL */
		line = memchr(text, '\0', len) ? NULL : json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
		type = json_string_value(json_object_get(line, "type"));
		if (type && !strcmp(type, "result")) {
			*ret_answer = line;
			return 0;
		}
		if (type && !strcmp(type, "progress")) {
			if (progress)
				progress(line, opaque);
			json_decref(line);
			continue;
		}
		json_decref(line);
		return -EBADMSG;
	}
}

/* A VM that could not be prepared for updates when it was started says so in its table. */
static bool is_unprepared(const struct vm *vm)
{
	struct fdtable *table = malloc(sizeof(*table));
	bool unprepared = table && !vm->table_err && !vmtable_read(vm->table_fd, table) && table->incomplete;

	free(table);
	return unprepared;
}

/**
 * client_ask() - send a request and wait for its answer
 * @vm:		the VM
 * @rundir:	where its socket is, NULL to look for it
 * @request:	the request
 * @timeout_ms:	how long to wait for all of it
 * @progress:	called for each progress line, or NULL
 * @opaque:	for @progress
 * @ret_answer:	the answer, an object with "type": "result"; all else in it may be anything
 *
 * Return: 0, or negative errno for client_strerror(). -ECONNRESET stands for an end of file before the answer; errors
 * that rundir_connect() names, and -EOPNOTSUPP, mean that nothing was sent.
 */
int client_ask(const struct vm *vm, const char *rundir, const json_t *request, int timeout_ms, client_progress progress,
	       void *opaque, json_t **ret_answer)
{
	struct inbox in = { .deadline = now_ms() + timeout_ms };
	int err = rundir_connect(vm, rundir, &in.fd);

	if (err)
		return err == -ENOENT && is_unprepared(vm) ? -EOPNOTSUPP : err;
	err = send_request(in.fd, request, in.deadline);
	if (!err)
		err = receive_answer(&in, progress, opaque, ret_answer);
	free(in.buf);
	close(in.fd);
	return err;
}

/**
 * client_argv() - a command for a request
 * @argv: the command; its program is looked for here, and the rest is passed on as it is
 *
 * Return: a list, or NULL where the program is not found, memory is short or a word is not UTF-8.
 */
json_t *client_argv(char *const argv[])
{
	json_t *list = json_array();
	char *program;

	if (proc_find_program(argv[0], &program)) {
		text_error("program %s was not found", argv[0]);
		json_decref(list);
		return NULL;
	}
	int err = json_array_append_new(list, json_string(program));
	for (size_t i = 1; !err && argv[i]; i++)
		err = json_array_append_new(list, json_string(argv[i]));
	free(program);
	if (!err)
		return list;
	json_decref(list);
	return NULL;
}

/**
 * client_query() - ask what a VM has at hand
 * @vm:		the VM
 * @rundir:	where its socket is, NULL to look for it
 * @command:	"status" or "history"
 * @ret_answer:	as for client_ask()
 *
 * Return: as client_ask().
 */
int client_query(const struct vm *vm, const char *rundir, const char *command, json_t **ret_answer)
{
	json_t *request = json_pack("{s:s}", "command", command);
	int err;

	if (!request)
		return -ENOMEM;
	err = client_ask(vm, rundir, request, CLIENT_SOON_MS, NULL, NULL, ret_answer);
	json_decref(request);
	return err;
}

/**
 * client_strerror() - what went wrong at the control socket, for people
 * @err: negative errno of this file or of rundir_connect()
 *
 * Return: half a sentence.
 */
const char *client_strerror(int err)
{
	switch (err) {
	case -ENOENT:
		return "its control socket was not found";
	case -EOPNOTSUPP:
		return "it has no control socket and cannot be updated: its log and cprctl status say why";
	case -ECONNREFUSED:
		return "nobody listens at its control socket";
	case -EACCES:
	case -EPERM:
		return "its control socket may not be used";
	case -EREMCHG:
		return "another process listens at its control socket";
	case -ETIMEDOUT:
		return "it did not answer in time";
	case -ECONNRESET:
		return "it closed the connection without an answer";
	case -EMSGSIZE:
		return "its answer is too long";
	case -EBADMSG:
		return "its answer does not follow the protocol";
	default:
		return strerror(-err);
	}
}
