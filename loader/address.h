/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* address.h - a socket's addresses as text. */
#ifndef CPRSHIM_LOADER_ADDRESS_H
#define CPRSHIM_LOADER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

void address_text(int fd, bool peer, char *ret, size_t size);
bool address_is_vsock(int fd);

#endif
