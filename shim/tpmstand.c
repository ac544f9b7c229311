/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tpmstand.c - a TPM emulator for show; see tpmstand.h. */
#include "tpmstand.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "guard.h"
#include "real.h"
#include "slots.h"

#define SET_STATEBLOB 0x0d
#define REQUEST_MAX   12

/* One that QEMU looks into: all that an emulator can do; 4096 bytes at a time, no fewer and no more. */
static const uint8_t capabilities[] = { 0, 0, 0, 0, 0, 1, 0xff, 0xff };
static const uint8_t buffer_size[] = { 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0 };
static const uint8_t success[8];

/* What is sent behind a command's number, and what comes back (backends/tpm/tpm_ioctl.h). */
static const struct command {
	uint32_t number;
	size_t request;
	const uint8_t *answer;
	size_t answer_len;
} commands[] = {
	{ 0x01, 0, capabilities, sizeof(capabilities) }, /* CMD_GET_CAPABILITY */
	{ 0x02, 4, success, 4 },			 /* CMD_INIT */
	{ 0x03, 0, success, 4 },			 /* CMD_SHUTDOWN */
	{ 0x04, 0, success, 8 },			 /* CMD_GET_TPMESTABLISHED */
	{ 0x05, 4, success, 4 },			 /* CMD_SET_LOCALITY */
	{ 0x09, 0, success, 4 },			 /* CMD_CANCEL_TPM_CMD */
	{ 0x0b, 4, success, 4 },			 /* CMD_RESET_TPMESTABLISHED */
	{ SET_STATEBLOB, 12, success, 4 },		 /* CMD_SET_STATEBLOB: flags, type, length, and so many bytes */
	{ 0x0e, 0, success, 4 },			 /* CMD_STOP */
	{ 0x11, 4, buffer_size, sizeof(buffer_size) },	 /* CMD_SET_BUFFERSIZE */
	{ 0x13, 4, success, 4 },			 /* CMD_LOCK_STORAGE */
};

static int peers[2]; /* of the control channel and the data channel */

static bool take(int fd, void *buf, size_t len)
{
	return !len || real(recv)(fd, buf, len, MSG_WAITALL) == (ssize_t)len;
}

static bool skip(int fd, size_t len)
{
	uint8_t buf[4096];

	for (size_t part; len; len -= part) {
		part = len < sizeof(buf) ? len : sizeof(buf);
		if (!take(fd, buf, part))
			return false;
	}
	return true;
}

static bool give(int fd, const uint8_t *buf, size_t len)
{
	return send(fd, buf, len, MSG_NOSIGNAL) == (ssize_t)len;
}

static uint32_t number_at(const uint8_t *at)
{
	uint32_t n;

	memcpy(&n, at, sizeof(n));
	return be32toh(n);
}

static bool serve_control(int fd)
{
	uint8_t number[4], request[REQUEST_MAX];

	if (!take(fd, number, sizeof(number)))
		return false;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *c = &commands[i];

		if (c->number != number_at(number))
			continue;
		return take(fd, request, c->request) &&
		       (c->number != SET_STATEBLOB || skip(fd, number_at(request + 8))) &&
		       give(fd, c->answer, c->answer_len);
	}
	return false; /* QEMU sees the end of the connection, and says so */
}

/* Tag, length, and TPM_RC_FAILURE. */
static bool serve_data(int fd)
{
	static const uint8_t answer[] = { 0x80, 0x01, 0, 0, 0, 10, 0, 0, 0x01, 0x01 };
	uint8_t head[sizeof(answer)];

	return take(fd, head, sizeof(head)) && number_at(head + 2) >= sizeof(head) &&
	       skip(fd, number_at(head + 2) - sizeof(head)) && give(fd, answer, sizeof(answer));
}

static void *stand(void *opaque)
{
	struct pollfd wait[] = { { .fd = peers[0], .events = POLLIN }, { .fd = peers[1], .events = POLLIN } };

	(void)opaque;
	guard_thread_is_ours();
	do {
		if (poll(wait, 2, -1) < 0)
			continue;
		if ((wait[0].revents && !serve_control(peers[0])) || (wait[1].revents && !serve_data(peers[1])))
			break;
	} while (true);
	slots_close(peers[0]);
	slots_close(peers[1]);
	return NULL;
}

/* In place of what is under this number. */
static int replace(int fd, int *ret_peer)
{
	int pair[2];

	if (real(socketpair)(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	*ret_peer = slots_move(pair[1]);
	int rc = real(dup3)(pair[0], fd, O_CLOEXEC) < 0 ? -errno : 0;
	real(close)(pair[0]);
	return *ret_peer < 0 ? *ret_peer : rc;
}

/**
 * tpmstand_start() - have it answer
 * @control: the control channel, parked, under whose number its own comes to stand
 * @data:    likewise the data channel
 *
 * Before main(). There is one TPM at most (softmmu/tpm.c:tpm_init_tpmdev).
 *
 * Return: 0 or a negative errno.
 */
int tpmstand_start(int control, int data)
{
	sigset_t all, before;
	pthread_t thread;
	int rc = replace(control, &peers[0]);

	if (!rc)
		rc = replace(data, &peers[1]);
	if (rc)
		return rc;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, stand, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!rc)
		pthread_detach(thread);
	return -rc;
}
