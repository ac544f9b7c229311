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

union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
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

/** channel_say() - tell the other how far it is here; who does not hear it any more needs it no more */
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
 * channel_give() - send a message with descriptors
 * @channel: our end
 * @message: what it is; @message->fds of @fds go with it
 * @fds:     they stay the caller's
 *
 * Return: 0 or a negative errno.
 */
int channel_give(int channel, struct channel_message *message, const int fds[CHANNEL_FDS])
{
	size_t bytes = message->fds * sizeof(int);
	struct iovec iov = { .iov_base = message, .iov_len = sizeof(*message) };
	union control control = {
		.head = { .cmsg_len = CMSG_LEN(bytes), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS }
	};
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = bytes ? &control : NULL,
			      .msg_controllen = bytes ? CMSG_SPACE(bytes) : 0 };

	if (bytes)
		memcpy(CMSG_DATA(&control.head), fds, bytes);
	return real(sendmsg)(channel, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(*message) ? 0 : -errno;
}

static bool has_fds(const struct msghdr *msg, uint32_t fds)
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(msg);

	if (!fds || !head)
		return !fds && !head;
	return fds <= CHANNEL_FDS && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(fds * sizeof(int));
}

/**
 * channel_receive() - wait for a message with descriptors
 * @channel: our end
 * @ret:     the message
 * @ret_fds: the caller's, close-on-exec, not recorded: these numbers are none of QEMU's
 *
 * The other end may take its time.
 *
 * Return: 0 or a negative errno; -EBADMSG where the other process has ended.
 */
int channel_receive(int channel, struct channel_message *ret, int ret_fds[CHANNEL_FDS])
{
	struct iovec iov = { .iov_base = ret, .iov_len = sizeof(*ret) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.space)
	};
	ssize_t n = real(recvmsg)(channel, &msg, MSG_CMSG_CLOEXEC);

	if (n != sizeof(*ret) || !has_fds(&msg, ret->fds))
		return -EBADMSG;
	if (ret->fds)
		memcpy(ret_fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), ret->fds * sizeof(int));
	return 0;
}

/** channel_give_state() - give the successor the CPR state. Return: 0 or a negative errno. */
int channel_give_state(int channel, int state_fd)
{
	struct channel_message message = { .gift = CHANNEL_STATE, .fds = 1 };

	return channel_give(channel, &message, (const int[CHANNEL_FDS]){ state_fd });
}

/** channel_give_stream() - give it the devices' state. Return: 0 or a negative errno. */
int channel_give_stream(int channel, const struct cpr_stream *stream)
{
	struct channel_message message = {
		.gift = CHANNEL_STREAM, .fds = 1, .length = stream->length, .crc = stream->crc
	};

	return channel_give(channel, &message, (const int[CHANNEL_FDS]){ stream->fd });
}
