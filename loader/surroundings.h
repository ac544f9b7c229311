/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * surroundings.h - is there room for a second QEMU, and does the kernel let this one go?
 *
 * Limits of the process, its cgroups and the host; threads that nothing can wake; seccomp filters that others have set.
 */
#ifndef CPRSHIM_LOADER_SURROUNDINGS_H
#define CPRSHIM_LOADER_SURROUNDINGS_H

#include "reasons.h"

bool surroundings_check(struct reasons *reasons);

#endif
