/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroups.h - have the cgroups of this process room for a second QEMU beside this one? */
#ifndef CPRSHIM_LOADER_CGROUPS_H
#define CPRSHIM_LOADER_CGROUPS_H

#include <stdint.h>

#include "reasons.h"

void cgroups_check(uint64_t memory, uint64_t threads, struct reasons *reasons);

#endif
