/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* receive.c - cprctl run --receive: the other side is loader/receiver.c. */
#include "receive.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../state/receive.h"
#include "text.h"

/* Arguments and environment together have 2 MiB on Linux, with the usual limit on the stack. */
#define ORDER_MAX (8u << 20)

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* the mode of a socket is that of its path from bind() on (unix(7)) */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

/* What it sends is run: so it must not have fewer rights than we have. */
static bool may_give(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && (peer.uid == 0 || peer.uid == geteuid());
}

static int accept_guest(int listener)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 && errno != EINTR)
			return -errno;
		if (fd >= 0 && may_give(fd))
			return fd;
		if (fd >= 0) {
			text_error("a process of another user wanted to give a guest, and was not heard");
			close(fd);
		}
	}
}

static int receive_message(int fd, int ret_fds[RECEIVE_FDS])
{
	char greeting[sizeof(RECEIVE_GREETING)];
	struct iovec iov = { .iov_base = greeting, .iov_len = sizeof(greeting) };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(RECEIVE_FDS * sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.space)
	};
	ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	if (n < 0)
		return -errno;
	if (n != sizeof(greeting) || memcmp(greeting, RECEIVE_GREETING, sizeof(greeting)) != 0 || !head ||
	    head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(RECEIVE_FDS * sizeof(int)))
		return -EPROTO;
	memcpy(ret_fds, CMSG_DATA(head), RECEIVE_FDS * sizeof(int));
	return 0;
}

static json_t *read_order(int fd)
{
	struct stat st;
	json_t *order = NULL;
	char *text;

	if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > ORDER_MAX)
		return NULL;
	text = malloc((size_t)st.st_size);
	if (text && pread(fd, text, (size_t)st.st_size, 0) == st.st_size)
		order = json_loadb(text, (size_t)st.st_size, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	return order;
}

/* An array of strings, ended by NULL, after @count that are there already; the strings stay the order's. */
static char **words_of(const json_t *list, char **first, size_t count)
{
	char **words = json_is_array(list) ? calloc(count + json_array_size(list) + 1, sizeof(*words)) : NULL;
	const json_t *word;
	size_t i;

	if (!words)
		return NULL;
	for (i = 0; i < count; i++)
		words[i] = first[i];
	json_array_foreach(list, i, word) {
		words[count + i] = (char *)json_string_value(word);
		if (!words[count + i]) {
			free(words);
			return NULL;
		}
	}
	return words;
}

/* The numbers are high ones, and all else that comes after them is: as many descriptors as there may be. */
static int place(int fds[RECEIVE_FDS], const json_t *numbers)
{
	struct rlimit limit;

	if (json_array_size(numbers) != RECEIVE_FDS - 1)
		return -EPROTO;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	for (size_t i = 0; i + 1 < RECEIVE_FDS; i++) {
		json_int_t number = json_integer_value(json_array_get(numbers, i));

		if (number <= STDERR_FILENO || number > INT_MAX)
			return -EPROTO;
		if (dup2(fds[i + 1], (int)number) < 0)
			return -errno;
	}
	return 0;
}

static int become(const char *program, char **argv, int fds[RECEIVE_FDS])
{
	json_t *order = read_order(fds[0]);
	size_t count = 0;
	char **args, **env;
	int err;

	while (argv[count])
		count++;
	args = words_of(json_object_get(order, "argv"), argv, count);
	env = words_of(json_object_get(order, "env"), NULL, 0);
	err = args && env ? place(fds, json_object_get(order, "numbers")) : -EPROTO;
	if (!err) {
		execve(program, args, env);
		err = -errno;
	}
	free(args);
	free(env);
	json_decref(order);
	return err;
}

/**
 * receive_guest() - wait until a VM gives its guest away, and take it
 * @path:    where to listen; the socket is removed when the guest comes
 * @program: the QEMU, or a command that ends in one
 * @argv:    its name and first arguments; the VM's follow
 *
 * Return: a negative errno, or not at all.
 */
int receive_guest(const char *path, const char *program, char **argv)
{
	int fds[RECEIVE_FDS], listener = listen_at(path), fd, err;

	if (listener < 0)
		return listener;
	fprintf(stderr, "cprctl: waiting for a guest at %s\n", path);
	fd = accept_guest(listener);
	unlink(path);
	close(listener);
	if (fd < 0)
		return fd;
	err = receive_message(fd, fds);
	close(fd);
	return err ? err : become(program, argv, fds);
}
