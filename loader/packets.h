/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* packets.h - in a successor: network back ends over sockets come up on their decoys. */
#ifndef CPRSHIM_LOADER_PACKETS_H
#define CPRSHIM_LOADER_PACKETS_H

#include <stdint.h>

#include "qmp.h"

int packets_resume(uint64_t deadline_ns, char error[QMP_ERROR_MAX]);

#endif
