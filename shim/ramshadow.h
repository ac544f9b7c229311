/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ramshadow.h - preserved memory of a successor that waits beside the guest, mapped and with its page tables filled where
 * nobody looks for it.
 *
 * At the switch the mapping is moved under QEMU's RAM block, page tables and all (mremap(2)): neither that moment nor the
 * guest's first seconds pay for a fault on each page. Holes stay holes: only what the memory's file holds is touched, so
 * that a balloon is not undone.
 */
#ifndef CPRSHIM_SHIM_RAMSHADOW_H
#define CPRSHIM_SHIM_RAMSHADOW_H

#include <stdbool.h>
#include <stdint.h>

#include "ram.h"

void *ramshadow_map(const struct ram_map *map, int flags, int fd, uint64_t offset);
void ramshadow_fill(uint64_t until_ns);
bool ramshadow_move(const struct ram_map *map, int fd, uint64_t offset);

#endif
