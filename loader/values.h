/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * values.h - what monitors have set and QEMU can be asked for: limits of drives, and media of removable ones.
 *
 * Whoever changed them, and through whatever monitor: what QEMU says now is what a successor is told.
 */
#ifndef CPRSHIM_LOADER_VALUES_H
#define CPRSHIM_LOADER_VALUES_H

#include <stdint.h>

#include "reasons.h"

/* Kinds of CHANGE_VALUE (loader/changes.h). */
#define VALUES_LIMITS	     "I/O limits of drive"
#define VALUES_DRIVE_MEDIUM  "medium of drive"	/* of -drive: it is opened by its file name */
#define VALUES_DEVICE_MEDIUM "medium of device" /* a block node of its own */
#define VALUES_OPENING	     "opening of the tray of"
#define VALUES_TRAY	     "tray of"

void values_check(const char *before, uint64_t deadline_ns, struct reasons *reasons);

#endif
