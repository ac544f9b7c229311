/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* nbdpeer.h - NBD servers that end with their client. */
#ifndef CPRSHIM_LOADER_NBDPEER_H
#define CPRSHIM_LOADER_NBDPEER_H

#include <stdbool.h>

bool nbdpeer_ends(int fd);

#endif
