/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * entities.h - the devices, objects, back ends and block nodes that QEMU has, as one text to compare.
 *
 * Right after start the list is what the command line asked for; at an update it is what a successor must have. A
 * difference between the two is something that was plugged or changed at run time.
 */
#ifndef CPRSHIM_LOADER_ENTITIES_H
#define CPRSHIM_LOADER_ENTITIES_H

#include <stdint.h>

#include "reasons.h"

char *entities_query(uint64_t deadline_ns);
void entities_compare(const char *before, const char *now, const char *added, const char *removed,
		      struct reasons *reasons);

#endif
