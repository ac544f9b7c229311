/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ramview.h - in a rehearsal: the guest's memory, as a view that takes what is written to itself.
 *
 * The memory is mapped privately, so a page that is written is copied first. What the view is put over stays scratch
 * memory in every other respect (shim/ram.h): QEMU's own number for it leads to an empty file, nothing is preallocated
 * or locked, and what is discarded is discarded in the view. So no call that QEMU makes on it reaches the guest's.
 */
#ifndef CPRSHIM_SHIM_RAMVIEW_H
#define CPRSHIM_SHIM_RAMVIEW_H

#include <stddef.h>
#include <stdint.h>

int ramview_put(uintptr_t addr, size_t size, int fd, uint64_t offset);

#endif
