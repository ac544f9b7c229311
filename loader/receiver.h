/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * receiver.h - a successor that somebody else has started: "cprctl run --receive SOCKET", perhaps as another user, in
 * another cgroup or container, or outside a sandbox that lets this process start nothing.
 *
 * It waits on a socket for what this process would have exec'd: arguments, environment, and the descriptors that a command
 * is given (parcel.h). From there on it is as if it had been spawned (docs/control-protocol.md).
 */
#ifndef CPRSHIM_LOADER_RECEIVER_H
#define CPRSHIM_LOADER_RECEIVER_H

#include <sys/types.h>

#include "execute.h"

int receiver_start(const char *path, const struct execution *e, pid_t *ret_pid);

#endif
