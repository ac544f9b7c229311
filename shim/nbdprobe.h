/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nbdprobe.h - does an NBD server serve one more client now? */
#ifndef CPRSHIM_SHIM_NBDPROBE_H
#define CPRSHIM_SHIM_NBDPROBE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

int nbdprobe_run(const struct sockaddr *addr, socklen_t addr_len, const uint8_t *said, size_t said_len, int timeout_ms);

#endif
