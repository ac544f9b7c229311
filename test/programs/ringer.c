/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ringer.c - preloaded into a QEMU: a thread with a ring (io_uring), which does what the test writes into the file "ring.do"
 * of the folder RINGER_DIR and answers with a number in "ring.did":
 *
 *   open PATH    the ring opens it: its number
 *   accept       the ring accepts a connection, whose other end stays open: its number
 *   stale PATH   a file is opened by open() and closed by the ring: the number that it had
 *   keep         the ring has a file in its table of files, without a number
 *   wait-accept  the ring waits for a connection
 *   wait-message the ring waits for a message
 *   end          the ring is no more, and all that it waits for with it
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

static struct ring ring;
static struct msghdr message;

/* A name of the kernel's choice. */
static int listener(struct sockaddr_un *ret_addr, socklen_t *ret_len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret_addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*ret_len = sizeof(*ret_addr);
	if (bind(fd, (struct sockaddr *)ret_addr, sizeof(sa_family_t)) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)ret_addr, ret_len))
		abort();
	return fd;
}

static int accept_one(void)
{
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), from, fd;
	struct sockaddr_un addr;
	socklen_t len;

	from = listener(&addr, &len);
	if (connect(client, (struct sockaddr *)&addr, len))
		abort();
	fd = ring_accept(&ring, from);
	close(from);
	return fd;
}

static int keep(void)
{
	int fd = eventfd(0, EFD_CLOEXEC), rc;

	rc = (int)syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_FILES, &fd, 1);
	close(fd);
	return rc ? -errno : 0;
}

/* What is waited on has no number any more: the ring alone has it. */
static int wait_accept(void)
{
	struct sockaddr_un addr;
	socklen_t len;
	int fd = listener(&addr, &len);

	ring_submit(&ring, &(struct io_uring_sqe){ .opcode = IORING_OP_ACCEPT, .fd = fd });
	close(fd);
	return 0;
}

static int wait_message(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
		abort();
	ring_submit(&ring,
		    &(struct io_uring_sqe){ .opcode = IORING_OP_RECVMSG, .fd = pair[0], .addr = (uintptr_t)&message });
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static int serve(const char *what, const char *path)
{
	int fd;

	if (!ring.queues && ring_start(&ring))
		abort();
	if (!strcmp(what, "open"))
		return ring_open(&ring, path, O_RDWR | O_CREAT | O_CLOEXEC);
	if (!strcmp(what, "accept"))
		return accept_one();
	if (!strcmp(what, "keep"))
		return keep();
	if (!strcmp(what, "wait-accept"))
		return wait_accept();
	if (!strcmp(what, "wait-message"))
		return wait_message();
	if (!strcmp(what, "stale")) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		ring_close(&ring, fd);
		return fd;
	}
	ring_end(&ring);
	ring.queues = NULL;
	return 0;
}

static void serve_file(const char *asked, const char *answered, const char *before)
{
	char what[32] = "", path[256] = "";
	FILE *file = fopen(asked, "re");

	if (!file)
		return;
	if (fscanf(file, "%31s %255s", what, path) < 1)
		abort();
	fclose(file);
	unlink(asked);
	file = fopen(before, "we");
	if (!file)
		abort();
	fprintf(file, "%d\n", serve(what, path));
	fclose(file);
	rename(before, answered);
}

static void *run(void *arg)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	char asked[256], answered[256], before[256];

	snprintf(asked, sizeof(asked), "%s/ring.do", (const char *)arg);
	snprintf(answered, sizeof(answered), "%s/ring.did", (const char *)arg);
	snprintf(before, sizeof(before), "%s/ring.doing", (const char *)arg);
	for (;;) {
		if (!access(asked, R_OK))
			serve_file(asked, answered, before);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

__attribute__((constructor)) static void begin(void)
{
	char *folder = getenv("RINGER_DIR");
	pthread_t thread;

	if (folder && pthread_create(&thread, NULL, run, folder))
		abort();
}
