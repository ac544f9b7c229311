/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tpmsync.c - what a program that has ended leaves on the connections to a TPM emulator; see tpmsync.h.
 *
 * swtpm serves both connections in one loop, one message after the other (swtpm's mainloop.c:mainLoop). So it is asked
 * something that QEMU never asks: when that answer has come, everything before it has been answered too, and can be
 * thrown away.
 */
#include "tpmsync.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "real.h"

#define ANSWER_MS 5000
#define PAUSE_NS  1000000
#define LOOKS	  1000 /* before the first pause: it is at work already */

/* CMD_GET_INFO of nothing that there is, and its answer: no error, three bytes in all, three here (swtpm's tpm_ioctl.h). */
static const uint8_t question[] = { 0, 0, 0, 0x12, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
static const uint8_t answer[] = { 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 3, '{', '}', 0 };

/* What is left on the socket; @tail keeps the last of it. */
static bool throw_away(int fd, uint8_t tail[sizeof(answer)])
{
	uint8_t buf[4096];
	ssize_t n;

	while ((n = real(recv)(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0) {
		size_t len = (size_t)n < sizeof(answer) ? (size_t)n : sizeof(answer);

		if (!tail)
			continue;
		memmove(tail, tail + len, sizeof(answer) - len);
		memcpy(tail + sizeof(answer) - len, buf + n - len, len);
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/* Two messages that wait at once would be taken for one. */
static bool is_taken(int fd)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	int left = 1;

	for (int i = 0; i < ANSWER_MS && left; i++) {
		for (int j = 0; j < LOOKS && left; j++)
			if (real(ioctl)(fd, SIOCOUTQ, &left))
				return false;
		if (left)
			nanosleep(&pause, NULL);
	}
	return !left;
}

static bool hears_answer(int control)
{
	uint8_t tail[sizeof(answer)] = { 0 };
	struct pollfd wait = { .fd = control, .events = POLLIN };

	while (poll(&wait, 1, ANSWER_MS) > 0 && throw_away(control, tail))
		if (!memcmp(tail, answer, sizeof(answer)))
			return true;
	return false;
}

/**
 * tpmsync_run() - bring both connections to where nobody owes an answer
 * @control: the control channel
 * @data:    the data channel, or -1
 *
 * Return: 0, or -EIO where the emulator does not answer: it hangs up where it was given half of a message.
 */
int tpmsync_run(int control, int data)
{
	if (!is_taken(control) || (data >= 0 && !is_taken(data)))
		return -EIO;
	if (send(control, question, sizeof(question), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(question))
		return -EIO;
	if (!hears_answer(control))
		return -EIO;
	if (data >= 0)
		throw_away(data, NULL);
	return 0;
}
