/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* protocol.h - what is spoken on a connection, by the first that QEMU sends there. */
#ifndef CPRSHIM_SHIM_PROTOCOL_H
#define CPRSHIM_SHIM_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

size_t protocol_head(const struct msghdr *msg, size_t len, char *out, size_t max);
int protocol_of(const char *text, size_t len);
bool protocol_is_telnet_greeting(const struct msghdr *msg, size_t len);

#endif
