/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tpm.h - the two connections to a TPM emulator (swtpm).
 *
 * QEMU makes a socketpair for the guest's commands, the data channel, and sends one end of it over the control channel
 * with CMD_SET_DATAFD, the first message there (backends/tpm/tpm_emulator.c:tpm_emulator_prepare_data_fd). swtpm takes
 * one data channel for the life of a control channel, and started with --terminate it ends with it. So both are kept: a
 * successor gets the preserved control channel when it connects, and when it sends the end of a new data channel it is
 * given the preserved one instead, with the answer that swtpm gave to the first. All else goes to swtpm itself: a
 * successor sets the TPM's state when it loads its devices, as after any migration, and that is the state in which the
 * TPM stands there. Each part of it goes in two messages, a head and a body, and swtpm ends where one does not follow the
 * other: a successor that ended in between would leave no TPM to the old QEMU. So they are sent as one.
 */
#ifndef CPRSHIM_SHIM_TPM_H
#define CPRSHIM_SHIM_TPM_H

#include <stdbool.h>
#include <sys/socket.h>

extern int tpm_awaiting; /* control channel on which QEMU is to read an answer of ours, or -1 */

static inline bool tpm_has_answer(int fd)
{
	return __atomic_load_n(&tpm_awaiting, __ATOMIC_ACQUIRE) == fd;
}

void tpm_note_pair(const int fds[2]);
bool tpm_is_channel(const struct msghdr *msg);
ssize_t tpm_send_channel(int fd, const struct msghdr *msg, int flags);
ssize_t tpm_answer(struct msghdr *msg);
bool tpm_keeps_together(int fd);
ssize_t tpm_send_whole(int fd, const struct msghdr *msg, int flags);

#endif
