/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * awaited.h - on the way back: addresses at which a device's other half must listen.
 *
 * QEMU would end where nobody does, and the guest be lost. So it waits, and the guest stands still.
 */
#ifndef CPRSHIM_SHIM_AWAITED_H
#define CPRSHIM_SHIM_AWAITED_H

#include <stdbool.h>
#include <sys/socket.h>

int awaited_add(const struct sockaddr *addr, socklen_t len);
void awaited_release(void);
int awaited_connect(int fd, const struct sockaddr *addr, socklen_t len);

#endif
