/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tpm.c - the two connections to a TPM emulator; see tpm.h. */
#include "tpm.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "guard.h"
#include "preserved.h"
#include "real.h"
#include "session.h"
#include "table.h"

/* CMD_SET_DATAFD as it is sent, and the answer that says that it went well (backends/tpm/tpm_ioctl.h). */
static const uint8_t set_datafd[] = { 0, 0, 0, 0x10 };
static const uint8_t success[] = { 0, 0, 0, 0 };

/*
 * CMD_SET_STATEBLOB's head: command, flags, type, and the length of what follows in another message
 * (backends/tpm/tpm_emulator.c:tpm_emulator_set_state_blob).
 */
static const uint8_t set_stateblob[] = { 0, 0, 0, 0x0d };
#define HEAD_BYTES 16

/* A head that waits for its body, on QEMU's main thread. */
static struct {
	int fd;
	uint8_t bytes[HEAD_BYTES];
	size_t len;
} head = { .fd = -1 };

int tpm_awaiting = -1;

/* The last socketpair that this thread made: QEMU sends its second end right after it has made it. */
static __thread int last_pair[2] __attribute__((tls_model("initial-exec"))) = { -1, -1 };

/** tpm_note_pair() - the calling thread has made a socketpair */
void tpm_note_pair(const int fds[2])
{
	memcpy(last_pair, fds, sizeof(last_pair));
}

/** tpm_is_channel() - does this message hand the end of the last socketpair to a TPM emulator? */
bool tpm_is_channel(const struct msghdr *msg)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	if (msg->msg_iovlen != 1 || msg->msg_iov[0].iov_len != sizeof(set_datafd) ||
	    memcmp(msg->msg_iov[0].iov_base, set_datafd, sizeof(set_datafd)) != 0)
		return false;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(fd)))
		return false;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd == last_pair[1];
}

/* In a successor: the preserved data channel in place of QEMU's end of the new one. */
static bool rebind_channel(int control, int channel)
{
	struct preserved *p = guard_role() == SHIM_SUCCESSOR ? preserved_channel(control) : NULL;

	if (!p || preserved_give(p, channel))
		return false;
	table_refresh(channel);
	__atomic_store_n(&tpm_awaiting, control, __ATOMIC_RELEASE);
	return true;
}

/**
 * tpm_send_channel() - for the hook of sendmsg(), where tpm_is_channel()
 * @fd:	   the control channel
 * @msg:   the message
 * @flags: as sendmsg's
 *
 * Return: as sendmsg's, with errno.
 */
ssize_t tpm_send_channel(int fd, const struct msghdr *msg, int flags)
{
	int channel = last_pair[0];
	ssize_t n = rebind_channel(fd, channel) ? (ssize_t)sizeof(set_datafd) : real(sendmsg)(fd, msg, flags);
	int saved = errno;

	if (n == sizeof(set_datafd)) {
		session_restore(fd, SESSION_TPM, false, false);
		table_note_parent(channel, fd);
	}
	errno = saved;
	return n;
}

/** tpm_answer() - for the hook of recvmsg(), where tpm_has_answer(): success; QEMU reads it in one piece */
ssize_t tpm_answer(struct msghdr *msg)
{
	size_t len = msg->msg_iov[0].iov_len < sizeof(success) ? msg->msg_iov[0].iov_len : sizeof(success);

	memcpy(msg->msg_iov[0].iov_base, success, len);
	msg->msg_controllen = 0;
	msg->msg_flags = 0;
	__atomic_store_n(&tpm_awaiting, -1, __ATOMIC_RELEASE);
	return (ssize_t)len;
}

/** tpm_keeps_together() - is this a control channel on which a successor's messages go by tpm_send_whole()? */
bool tpm_keeps_together(int fd)
{
	return guard_role() == SHIM_SUCCESSOR && session_protocol(fd) == SESSION_TPM;
}

static bool is_head(const struct msghdr *msg)
{
	return msg->msg_iovlen == 1 && !msg->msg_controllen && msg->msg_iov[0].iov_len == HEAD_BYTES &&
	       !memcmp(msg->msg_iov[0].iov_base, set_stateblob, sizeof(set_stateblob));
}

/**
 * tpm_send_whole() - for the hook of sendmsg(), where tpm_keeps_together()
 * @fd:	   the control channel
 * @msg:   the message
 * @flags: as sendmsg's
 *
 * Return: as sendmsg's, with errno; a head is kept until its body comes.
 */
ssize_t tpm_send_whole(int fd, const struct msghdr *msg, int flags)
{
	if (head.fd != fd && is_head(msg)) {
		memcpy(head.bytes, msg->msg_iov[0].iov_base, HEAD_BYTES);
		head.len = HEAD_BYTES;
		head.fd = fd;
		return HEAD_BYTES;
	}
	if (head.fd != fd || msg->msg_iovlen != 1)
		return real(sendmsg)(fd, msg, flags);
	struct iovec both[] = { { .iov_base = head.bytes, .iov_len = head.len }, msg->msg_iov[0] };
	struct msghdr whole = { .msg_iov = both, .msg_iovlen = 2 };
	ssize_t n = real(sendmsg)(fd, &whole, flags);
	size_t sent = n < 0 ? 0 : (size_t)n < head.len ? (size_t)n : head.len;

	head.len -= sent;
	memmove(head.bytes, head.bytes + sent, head.len);
	if (!head.len)
		head.fd = -1;
	if (n > (ssize_t)sent)
		return n - (ssize_t)sent;
	/* Nothing of the body has gone. */
	errno = n < 0 ? errno : EAGAIN;
	return -1;
}
