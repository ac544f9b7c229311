/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hotplug.h - a successor has what was plugged in at run time, and has not what was taken out.
 *
 * The command line makes what it says, without what was removed since; then the commands that added things are given
 * anew, each with the place that QEMU had chosen: a device must lie at the same address for its state to be loaded. QEMU
 * takes them while it waits for that state, as it did at run time, so that nothing is built otherwise than it was.
 */
#ifndef CPRSHIM_LOADER_HOTPLUG_H
#define CPRSHIM_LOADER_HOTPLUG_H

#include <stdint.h>

#include "reasons.h"

void hotplug_check(uint64_t deadline_ns, struct reasons *reasons);
int hotplug_replay(uint64_t deadline_ns, char *error, struct reasons *warnings);
int hotplug_compare(const char *expected, uint64_t deadline_ns, char *error);

#endif
