/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * strays.h - what is open in a successor besides what was handed over.
 *
 * Constructors of libraries run before anything of ours, and may have opened files that they go on using: to close one
 * would put a file of QEMU's under the number that the library writes to.
 */
#ifndef CPRSHIM_LOADER_STRAYS_H
#define CPRSHIM_LOADER_STRAYS_H

#include <stdbool.h>

#include "../state/cprstate.h"

int strays_sort(struct cprstate *state);
bool strays_made_again(const struct cpr_fd *rec);

#endif
