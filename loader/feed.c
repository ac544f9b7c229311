/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* feed.c - in a successor: the devices' state is fed to QEMU as an incoming migration. */
#include "feed.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "../shim/real.h"
#include "../shim/slots.h"
#include "clock.h"
#include "fault.h"
#include "vm.h"

static int send_all(int sock, const char *bytes, size_t length, uint64_t deadline)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = send(sock, bytes + done, length - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		struct pollfd wait = { .fd = sock, .events = POLLOUT };

		if (n > 0)
			done += (size_t)n;
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		else if (!poll(&wait, 1, clock_left_ms(deadline)))
			return -ETIMEDOUT;
	}
	return 0;
}

static int send_stream(int sock, uint64_t deadline)
{
	const struct cpr_stream *stream = &vm.cpr_state->stream[0];
	void *map = real(mmap)(NULL, stream->length, PROT_READ, MAP_PRIVATE, stream->fd, 0);
	size_t most = stream->length * 9 / 10;

	if (map == MAP_FAILED)
		return -errno;
	int rc = codec_crc32c(0, map, stream->length) == stream->crc ? 0 : -EBADMSG;
	if (!rc)
		rc = send_all(sock, map, most, deadline);
	if (!rc && !fault_at("load"))
		rc = send_all(sock, (const char *)map + most, stream->length - most, deadline);
	real(munmap)(map, stream->length);
	return rc;
}

/* The end that is written to, or -1; QEMU has the other one. */
static int feed = -1;

/**
 * feed_open() - have QEMU wait for the stream
 * @deadline: CLOCK_MONOTONIC, in nanoseconds
 * @error:    what went wrong
 *
 * It goes through a socket: QEMU 11 takes no file by number, and 7.2 has no other way.
 *
 * Return: 0 or a negative errno.
 */
int feed_open(uint64_t deadline, char error[QMP_ERROR_MAX])
{
	int pair[2], size = 4 << 20;
	char uri[32];

	if (real(socketpair)(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
		snprintf(error, QMP_ERROR_MAX, "no socket: %s", strerror(errno));
		return -EIO;
	}
	real(setsockopt)(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	feed = slots_move(pair[0]);
	snprintf(uri, sizeof(uri), "fd:%d", fault_at("listen") ? -1 : pair[1]); /* QEMU closes it */
	qmp_forget_events(&qmp_private);
	return qmp_do(&qmp_private, "migrate-incoming", json_pack("{s:s}", "uri", uri), deadline, error);
}

/**
 * feed_devices() - after feed_open(): have QEMU load the stream that the state names
 * @deadline: CLOCK_MONOTONIC, in nanoseconds
 * @error:    what went wrong
 *
 * Return: 0 or a negative errno.
 */
int feed_devices(uint64_t deadline, char error[QMP_ERROR_MAX])
{
	int rc = send_stream(feed, deadline);

	if (rc)
		snprintf(error, QMP_ERROR_MAX, "the stream was not taken: %s", strerror(-rc));
	feed = slots_close(feed);
	while (!rc && strcmp(qmp_private.migration, "completed") != 0) {
		rc = strcmp(qmp_private.migration, "failed") ? qmp_wait_event(&qmp_private, deadline) : -EIO;
		if (rc)
			snprintf(error, QMP_ERROR_MAX, "the device state was not loaded (%s)",
				 qmp_private.migration[0] ? qmp_private.migration : strerror(-rc));
	}
	return rc;
}
