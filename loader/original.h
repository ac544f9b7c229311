/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * original.h - the method "relay": the process that the guest belongs to, while a stand-in runs it.
 *
 * The guest goes to a child (transfer.h) and comes back when this process has become the new QEMU by an exec, which it does at
 * leisure: so the process id stays, and whatever watches it. Meanwhile signals to this process are the stand-in's. If it
 * dies, or does not come up as the new QEMU, the stand-in is the VM; if the stand-in keeps the guest, this process ends.
 */
#ifndef CPRSHIM_LOADER_ORIGINAL_H
#define CPRSHIM_LOADER_ORIGINAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "channel.h"
#include "handover.h"

void original_wait(int channel, pid_t standin, const struct handover *h);
void original_become(const struct channel_message *message, const int fds[CHANNEL_FDS], const struct vm_binary *target,
		     const struct fdlist *occupy);
void original_end(pid_t standin, bool stays);
int original_call(int channel, const struct handover *h);
void original_dismiss(int channel);

#endif
