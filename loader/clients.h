/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clients.h - in a successor: whoever is connected to the VM, and its devices, around the load.
 *
 * QEMU has decoys so far. Its clients connect to them as they would to the real ones; what it writes to them waits; the
 * real ones come when nothing can lead back but a failure.
 */
#ifndef CPRSHIM_LOADER_CLIENTS_H
#define CPRSHIM_LOADER_CLIENTS_H

#include <stdint.h>

#include "qmp.h"

int clients_accepted(uint64_t deadline_ns, char error[QMP_ERROR_MAX]);
void clients_connected(uint64_t deadline_ns);
void clients_hold_back(void);
int clients_switch(char error[QMP_ERROR_MAX]);

#endif
