/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ondisk.h - would a successor open the same files that this QEMU has open? */
#ifndef CPRSHIM_LOADER_ONDISK_H
#define CPRSHIM_LOADER_ONDISK_H

#include "plan.h"
#include "reasons.h"

void ondisk_check(const struct plan *plan, struct reasons *reasons);
int ondisk_hold(const struct plan *plan, struct reasons *warnings);

#endif
