/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* feed.h - in a successor: the devices' state is fed to QEMU as an incoming migration. */
#ifndef CPRSHIM_LOADER_FEED_H
#define CPRSHIM_LOADER_FEED_H

#include "qmp.h"

int feed_open(uint64_t deadline, char error[QMP_ERROR_MAX]);
int feed_devices(uint64_t deadline, char error[QMP_ERROR_MAX]);

#endif
