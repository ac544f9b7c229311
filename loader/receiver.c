/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* receiver.c - give the start of a successor to another process; see receiver.h. ctl/receive.c is the other side. */
#include "receiver.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../shim/real.h"
#include "../shim/slots.h"
#include "../state/receive.h"

static json_t *list_of(char *const words[])
{
	json_t *list = json_array();

	for (size_t i = 0; words[i]; i++)
		if (json_array_append_new(list, json_string(words[i]))) {
			/* JSON has no other bytes than UTF-8. */
			json_decref(list);
			return NULL;
		}
	return list;
}

/* What is to be started, in a memfd. */
static int write_order(const struct execution *e)
{
	json_t *argv = list_of(e->program.argv + 1), *envp = list_of(e->program.envp), *numbers = json_array();
	int fd = -EILSEQ;

	for (size_t i = 0; i < e->carry.count; i++)
		json_array_append_new(numbers, json_integer(e->carry.fd[i]));
	json_t *order =
		argv && envp ? json_pack("{s:O, s:O, s:O}", "argv", argv, "env", envp, "numbers", numbers) : NULL;
	char *text = order ? json_dumps(order, JSON_COMPACT) : NULL;
	if (text)
		fd = slots_memfd("cprshim-order");
	if (fd >= 0 && write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		slots_close(fd);
		fd = -EIO;
	}
	free(text);
	json_decref(order);
	json_decref(argv);
	json_decref(envp);
	json_decref(numbers);
	return fd;
}

static int send_order(int sock, int order, const struct execution *e)
{
	int fds[RECEIVE_FDS] = { order };
	char greeting[] = RECEIVE_GREETING;
	struct iovec iov = { .iov_base = greeting, .iov_len = sizeof(greeting) };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(fds))];
	} control = { .head = {
			      .cmsg_len = CMSG_LEN(sizeof(fds)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.space)
	};

	if (e->carry.count != RECEIVE_FDS - 1)
		return -EINVAL;
	memcpy(fds + 1, e->carry.fd, sizeof(fds) - sizeof(fds[0]));
	memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	return real(sendmsg)(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)iov.iov_len ? 0 : -errno;
}

/**
 * receiver_start() - have the process that waits at a socket start the successor
 * @path:    the socket
 * @e:	     what is to be started; what is not carried is in its parcel
 * @ret_pid: that process, or 0 where it is in a namespace that this one does not see
 *
 * Return: 0 or a negative errno.
 */
int receiver_start(const char *path, const struct execution *e, pid_t *ret_pid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	int sock = real(socket)(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	int rc = real(connect)(sock, (struct sockaddr *)&addr, sizeof(addr)) ? -errno : 0;
	if (!rc && getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		rc = -errno;
	int order = rc ? rc : write_order(e);
	if (!rc)
		rc = order < 0 ? order : send_order(sock, order, e);
	slots_close(order);
	real(close)(sock);
	*ret_pid = rc ? -1 : peer.pid;
	return rc;
}
