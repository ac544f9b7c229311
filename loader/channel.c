/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* channel.c - between two QEMUs; see channel.h. */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "../shim/real.h"
#include "../shim/slots.h"
#include "clock.h"

#define OFFER_FDS 2 /* the stream and, where there is one, the state */

/* What the successor is given, with the descriptors. */
struct offer {
	uint64_t length;
	uint32_t crc;
	uint32_t fds;
};

union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(OFFER_FDS * sizeof(int))];
};

/**
 * channel_make() - make one
 * @ret_pair: ours and the successor's, both ours for now
 *
 * Return: 0 or a negative errno; both are -1 then.
 */
int channel_make(int ret_pair[2])
{
	int pair[2];

	ret_pair[0] = ret_pair[1] = -1;
	if (real(socketpair)(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	for (int i = 0; i < 2; i++)
		ret_pair[i] = slots_move(pair[i]);
	if (ret_pair[0] >= 0 && ret_pair[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		ret_pair[i] = slots_close(ret_pair[i]);
	return -EMFILE;
}

/** channel_say() - in the successor: tell how far it is; who does not hear it any more needs it no more */
void channel_say(int channel, enum channel_word word)
{
	char byte = (char)word;

	if (send(channel, &byte, 1, MSG_NOSIGNAL) < 0)
		errno = 0;
}

/**
 * channel_hears() - wait until the successor is that far
 * @channel:  our end
 * @word:     what it is to say
 * @until_ns: CLOCK_MONOTONIC
 *
 * Return: false where it does not come so far, or takes longer.
 */
bool channel_hears(int channel, enum channel_word word, uint64_t until_ns)
{
	struct pollfd wait = { .fd = channel, .events = POLLIN };
	char said = 0;

	return poll(&wait, 1, clock_left_ms(until_ns)) == 1 && real(recv)(channel, &said, 1, MSG_DONTWAIT) == 1 &&
	       said == (char)word;
}

/**
 * channel_offer() - give the successor the state
 * @channel:  our end
 * @stream:   the devices'
 * @state_fd: the CPR state that goes with it, or -1
 *
 * Return: 0 or a negative errno.
 */
int channel_offer(int channel, const struct cpr_stream *stream, int state_fd)
{
	int fds[OFFER_FDS] = { stream->fd, state_fd };
	struct offer offer = { .length = stream->length, .crc = stream->crc, .fds = state_fd < 0 ? 1 : 2 };
	size_t bytes = offer.fds * sizeof(int);
	struct iovec iov = { .iov_base = &offer, .iov_len = sizeof(offer) };
	union control control = {
		.head = { .cmsg_len = CMSG_LEN(bytes), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS }
	};
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(bytes)
	};

	memcpy(CMSG_DATA(&control.head), fds, bytes);
	return real(sendmsg)(channel, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(offer) ? 0 : -errno;
}

/**
 * channel_take() - in the successor: wait for the state
 * @channel:	  its end
 * @ret_stream:	  the devices'
 * @ret_state_fd: the CPR state that goes with it, one of ours; -1 where there is none
 *
 * The other end may take its time.
 *
 * Return: 0 or a negative errno; -EBADMSG where the other process has ended.
 */
int channel_take(int channel, struct cpr_stream *ret_stream, int *ret_state_fd)
{
	int fds[OFFER_FDS];
	struct offer offer;
	struct iovec iov = { .iov_base = &offer, .iov_len = sizeof(offer) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.space)
	};

	/* Nothing was recorded: that number is not one of QEMU's. */
	ssize_t n = real(recvmsg)(channel, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	if (n != sizeof(offer) || offer.fds < 1 || offer.fds > OFFER_FDS || !head || head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len != CMSG_LEN(offer.fds * sizeof(int)))
		return -EBADMSG;
	memcpy(fds, CMSG_DATA(head), offer.fds * sizeof(int));
	*ret_stream = (struct cpr_stream){ .fd = slots_move(fds[0]), .length = offer.length, .crc = offer.crc };
	*ret_state_fd = offer.fds > 1 ? slots_move(fds[1]) : -1;
	if (ret_stream->fd < 0)
		return ret_stream->fd;
	return offer.fds > 1 && *ret_state_fd < 0 ? *ret_state_fd : 0;
}
