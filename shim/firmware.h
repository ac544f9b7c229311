/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * firmware.h - the files of QEMU's own that it read when it started: ROM images, keymaps.
 *
 * The way back to the old binary needs them again, and a package upgrade may have replaced them by then.
 */
#ifndef CPRSHIM_SHIM_FIRMWARE_H
#define CPRSHIM_SHIM_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>

#define FIRMWARE_FILES 64

void firmware_note(const char *path);
void firmware_stop(void);
size_t firmware_count(void);
const char *firmware_path(size_t index);

#endif
