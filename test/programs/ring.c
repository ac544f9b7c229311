/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ring.c - see ring.h; the kernel's side of it is in io_uring(7). */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES 4

static void *map(const struct ring *ring, size_t size, off_t what)
{
	return (void *)syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, what);
}

/**
 * ring_start() - make one
 * @ret: the ring
 *
 * Return: 0 or a negative errno: the kernel has none, or forbids it.
 */
int ring_start(struct ring *ret)
{
	struct ring ring = { .fd = -1 };
	size_t completions;
	void *queues, *sqes;

	ring.fd = (int)syscall(SYS_io_uring_setup, ENTRIES, &ring.params);
	if (ring.fd < 0)
		return -errno;
	ring.size = ring.params.sq_off.array + ring.params.sq_entries * sizeof(uint32_t);
	completions = ring.params.cq_off.cqes + ring.params.cq_entries * sizeof(struct io_uring_cqe);
	if (completions > ring.size)
		ring.size = completions;
	queues = map(&ring, ring.size, IORING_OFF_SQ_RING);
	sqes = map(&ring, ring.params.sq_entries * sizeof(*ring.sqes), IORING_OFF_SQES);
	if (queues == MAP_FAILED || sqes == MAP_FAILED)
		abort();
	ring.queues = queues;
	ring.sqes = sqes;
	*ret = ring;
	return 0;
}

static uint32_t *at(const struct ring *ring, uint32_t offset)
{
	return (uint32_t *)(void *)(ring->queues + offset);
}

static void enter(const struct ring *ring, unsigned int wait_for)
{
	while (syscall(SYS_io_uring_enter, ring->fd, 1, wait_for, wait_for ? IORING_ENTER_GETEVENTS : 0, NULL, 0) < 0)
		if (errno != EINTR)
			abort();
}

static void put(struct ring *ring, const struct io_uring_sqe *request)
{
	uint32_t *tail = at(ring, ring->params.sq_off.tail), mask = *at(ring, ring->params.sq_off.ring_mask);

	ring->sqes[*tail & mask] = *request;
	at(ring, ring->params.sq_off.array)[*tail & mask] = *tail & mask;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

/** ring_submit() - have something done, sometime, its answer never read; no ring_do() in this ring after it */
void ring_submit(struct ring *ring, const struct io_uring_sqe *request)
{
	put(ring, request);
	enter(ring, 0);
}

/** ring_do() - have something done. Return: its result, a negative errno where it failed. */
int ring_do(struct ring *ring, const struct io_uring_sqe *request)
{
	uint32_t *head = at(ring, ring->params.cq_off.head), mask = *at(ring, ring->params.cq_off.ring_mask);
	const struct io_uring_cqe *answers = (const void *)(ring->queues + ring->params.cq_off.cqes);
	int result;

	put(ring, request);
	enter(ring, 1);
	if (__atomic_load_n(at(ring, ring->params.cq_off.tail), __ATOMIC_ACQUIRE) == *head)
		abort();
	result = answers[*head & mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

/** ring_open() - as open(2). Return: the descriptor or a negative errno. */
int ring_open(struct ring *ring, const char *path, int flags)
{
	return ring_do(ring, &(struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
						     .fd = AT_FDCWD,
						     .addr = (uintptr_t)path,
						     .open_flags = (uint32_t)flags });
}

/** ring_accept() - as accept4(2). Return: the descriptor or a negative errno. */
int ring_accept(struct ring *ring, int listener)
{
	return ring_do(ring, &(struct io_uring_sqe){
				     .opcode = IORING_OP_ACCEPT, .fd = listener, .accept_flags = SOCK_CLOEXEC });
}

/** ring_close() - as close(2). Return: 0 or a negative errno. */
int ring_close(struct ring *ring, int fd)
{
	return ring_do(ring, &(struct io_uring_sqe){ .opcode = IORING_OP_CLOSE, .fd = fd });
}

/** ring_end() - done with it */
void ring_end(struct ring *ring)
{
	syscall(SYS_munmap, ring->queues, ring->size);
	syscall(SYS_munmap, ring->sqes, ring->params.sq_entries * sizeof(*ring->sqes));
	syscall(SYS_close, ring->fd);
}
