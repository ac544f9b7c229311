/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * placement.h - commands that add something, made exact: what QEMU chose when it was first added is said the second time.
 */
#ifndef CPRSHIM_LOADER_PLACEMENT_H
#define CPRSHIM_LOADER_PLACEMENT_H

#include <stdint.h>

#include "changes.h"

char *placement_options(const char *command);
char *placement_pin(const struct change *change, uint64_t deadline_ns);

#endif
