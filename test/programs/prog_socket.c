/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* prog_socket.c - sockets of both families, connections both ways, and descriptors that come in a message. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "program.h"

static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	return addr;
}

/* A path that has nothing to do with the shim's own: relative, in the directory of the test. */
static void unix_sockets(void)
{
	struct sockaddr_un addr = unix_address("listen.sock"), peer;
	socklen_t len = sizeof(peer);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);

	program_say("socket", listener);
	program_expect(listener, "socket", "socket", NULL);
	program_say("bind", bind(listener, (struct sockaddr *)&addr, sizeof(addr)));
	program_say("bind again", bind(listener, (struct sockaddr *)&addr, sizeof(addr)));
	program_say("listen", listen(listener, 5));
	program_expect(listener, "listener", "socket", NULL);
	int first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), second = socket(AF_UNIX, SOCK_STREAM, 0);
	program_say("connect", connect(first, (struct sockaddr *)&addr, sizeof(addr)));
	program_expect(first, "outgoing-connection", "socket", NULL);
	program_say("connect", connect(second, (struct sockaddr *)&addr, sizeof(addr)));
	int a = accept(listener, (struct sockaddr *)&peer, &len), b = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	program_say("accept", a);
	program_say("length", len);
	program_expect(a, "accepted-client", "accept", NULL);
	program_say("accept4", b);
	program_expect(b, "accepted-client", "accept4", NULL);
	program_say("flags", fcntl(b, F_GETFL));
	len = sizeof(peer);
	program_say("getsockname", getsockname(a, (struct sockaddr *)&peer, &len));
	program_say("its name", strcmp(peer.sun_path, addr.sun_path));
	program_say("getpeername", getpeername(first, (struct sockaddr *)&peer, &len));
	program_agree("UNIX sockets");
	for (int fd = listener; fd <= b; fd++)
		program_say("close", close(fd));
	program_say("unlink", unlink("listen.sock"));
	program_agree("UNIX sockets closed");
}

static void internet_sockets(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	program_say("bind", bind(listener, (struct sockaddr *)&addr, sizeof(addr)));
	program_say("listen", listen(listener, 1));
	program_say("getsockname", getsockname(listener, (struct sockaddr *)&addr, &len));
	program_say("accept", accept(listener, NULL, NULL));
	int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	/* On the loopback device the connection is made at once or is under way. */
	program_say("connect", connect(client, (struct sockaddr *)&addr, len) && errno != EINPROGRESS ? -1 : 0);
	program_expect(client, "outgoing-connection", "socket", NULL);
	program_agree("TCP");
	program_say("close", close(client));
	program_say("close", close(listener));
	int refused = socket(AF_INET, SOCK_STREAM, 0);
	program_say("connect", connect(refused, (struct sockaddr *)&addr, len));
	program_expect(refused, "socket", "socket", NULL);
	program_say("close", close(refused));
	int datagrams = socket(AF_INET6, SOCK_DGRAM, 0);
	program_say("UDP", datagrams < 0 ? 0 : close(datagrams));
}

static void send_descriptors(int to, const int *fds, size_t n)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(3 * sizeof(int))];
	} control = { 0 };
	struct iovec byte = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &byte,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	program_say("sendmsg", sendmsg(to, &msg, 0));
}

static void receive_descriptors(int from)
{
	char space[CMSG_SPACE(4 * sizeof(int))], byte;
	struct iovec into = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &into, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)
	};

	program_say("recvmsg", recvmsg(from, &msg, MSG_CMSG_CLOEXEC));
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			program_say("received", fd);
			program_expect(fd, "file", "recvmsg", NULL);
		}
}

static void data_and_options(const int pair[2])
{
	struct sockaddr_un nowhere = unix_address("nowhere/x");
	char text[8] = "";
	int on = 1;

	program_say("recv", recv(pair[1], text, sizeof(text), MSG_DONTWAIT));
	program_say("recv", recv(4000, text, sizeof(text), 0));
	program_say("recv", recv(pair[1], NULL, 1, MSG_DONTWAIT));
	program_say("sendto", sendto(pair[1], "x", 1, MSG_NOSIGNAL, NULL, 0));
	program_say("sendto", sendto(4000, "x", 1, 0, (struct sockaddr *)&nowhere, sizeof(nowhere)));
	program_say("setsockopt", setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	program_say("setsockopt", setsockopt(pair[1], IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof(on)));
	program_say("setsockopt", setsockopt(4000, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
}

static void pairs(void)
{
	int pair[2], sent[3];

	program_say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	program_expect(pair[0], "socketpair", "socketpair", NULL);
	program_expect(pair[1], "socketpair", "socketpair", NULL);
	program_say("pipe", pipe(sent));
	sent[2] = open("/dev/null", O_RDONLY);
	send_descriptors(pair[0], sent, 3);
	receive_descriptors(pair[1]);
	send_descriptors(pair[0], sent, 1);
	program_agree("three received, one under way");
	receive_descriptors(pair[1]);
	program_agree("four received");
	program_say("close", close(pair[0]));
	receive_descriptors(pair[1]);
	data_and_options(pair);
	program_say("close_range", close_range((unsigned int)pair[0], 60, 0));
	program_agree("received ones closed");
}

static void failing(void)
{
	struct sockaddr_un nowhere = unix_address("nowhere/x");
	struct msghdr msg = { 0 };
	socklen_t len = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	program_say("socket", socket(9999, SOCK_STREAM, 0));
	program_say("socketpair", socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){ 0 }));
	program_say("bind", bind(fd, (struct sockaddr *)&nowhere, sizeof(nowhere)));
	program_say("bind", bind(fd, NULL, 0));
	program_say("connect", connect(fd, (struct sockaddr *)&nowhere, sizeof(nowhere)));
	program_say("listen", listen(1, 1));
	program_say("accept", accept(fd, NULL, NULL));
	program_say("accept4", accept4(4000, NULL, NULL, 0));
	program_say("getsockname", getsockname(4000, (struct sockaddr *)&nowhere, &len));
	program_say("getpeername", getpeername(fd, (struct sockaddr *)&nowhere, &len));
	program_say("recvmsg", recvmsg(4000, &msg, 0));
	program_say("sendmsg", sendmsg(fd, &msg, MSG_NOSIGNAL));
	program_expect(fd, "socket", "socket", NULL);
	program_agree("failing");
}

int main(void)
{
	program_start();
	unix_sockets();
	internet_sockets();
	pairs();
	failing();
	return program_end();
}
