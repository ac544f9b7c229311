/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rammap.h - one mapping of the guest's memory: made, and in a successor made anew.
 *
 * ram.c has the list of them, and holds its lock for writing where a mapping of the list is changed.
 */
#ifndef CPRSHIM_SHIM_RAMMAP_H
#define CPRSHIM_SHIM_RAMMAP_H

#include <stdint.h>

#include "ram.h"

void *rammap_anonymous(struct ram_map *map);
void *rammap_file(struct ram_map *map);
void *rammap_scratch(struct ram_map *map);
void rammap_prepare(const struct ram_map *map, int fd, uint64_t offset);
int rammap_rebind(struct ram_map *map, int fd, uint64_t offset);
int rammap_settle(struct ram_map *map);

#endif
