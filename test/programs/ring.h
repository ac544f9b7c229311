/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ring.h - an io_uring that does one thing at a time, by raw system calls alone as liburing's are: no hook sees the
 * ring, nor what it opens, accepts and closes.
 */
#ifndef CPRSHIM_TEST_RING_H
#define CPRSHIM_TEST_RING_H

#include <linux/io_uring.h>
#include <stddef.h>

/**
 * struct ring - for ring_end()
 * @fd:	    its descriptor
 * @params: what the kernel made of it
 * @queues: both queues, in one mapping
 * @size:   of that
 * @sqes:   the requests
 */
struct ring {
	int fd;
	struct io_uring_params params;
	char *queues;
	size_t size;
	struct io_uring_sqe *sqes;
};

int ring_start(struct ring *ret);
void ring_submit(struct ring *ring, const struct io_uring_sqe *request);
int ring_do(struct ring *ring, const struct io_uring_sqe *request);
int ring_open(struct ring *ring, const char *path, int flags);
int ring_accept(struct ring *ring, int listener);
int ring_close(struct ring *ring, int fd);
void ring_end(struct ring *ring);

#endif
