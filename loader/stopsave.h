/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stopsave.h - the guest stops and its devices are saved by one call on QEMU's main thread.
 *
 * By two commands QEMU reads the second one, and switches between three threads, while the guest stands still: 0.4 ms. So
 * what these commands call is called, where the binary exports it.
 */
#ifndef CPRSHIM_LOADER_STOPSAVE_H
#define CPRSHIM_LOADER_STOPSAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "qmp.h"

bool stopsave_possible(void);
void stopsave_begin(bool running, int fd, bool live);
int stopsave_stopped(uint64_t deadline_ns, char error[QMP_ERROR_MAX]);
int stopsave_saved(uint64_t deadline_ns, char error[QMP_ERROR_MAX]);

#endif
