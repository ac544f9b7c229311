/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nbdpeer.h - what the NBD server at a connection's other end is known to do. */
#ifndef CPRSHIM_LOADER_NBDPEER_H
#define CPRSHIM_LOADER_NBDPEER_H

#include <stdbool.h>

bool nbdpeer_ends(int fd);
bool nbdpeer_serves_one(int fd);
bool nbdpeer_is_stopped(int fd);

#endif
