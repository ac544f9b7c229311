/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rings.h - descriptors that only a ring (io_uring) knows of.
 *
 * What a ring opens or accepts under a number, and what it closes, the kernel tells of like any other descriptor
 * (shim/inspect.h). Nobody tells of a file that a ring keeps in a table of its own, without a number, nor of what it has yet
 * to accept or receive: by then a successor may have been made. QEMU's rings poll and do the disks' input and output only
 * (util/fdmon-io_uring.c, block/io_uring.c).
 */
#ifndef CPRSHIM_LOADER_RINGS_H
#define CPRSHIM_LOADER_RINGS_H

#include "plan.h"
#include "reasons.h"

void rings_check(const struct plan *plan, struct reasons *blockers);

#endif
