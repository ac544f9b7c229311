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
