/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * library.h - which libcprshim.so a program runs. A successor gets the old program's own, by its descriptor, unless the
 * command that leads to it loads another: such a one must understand what the old one hands over, and is what the VM has
 * from then on.
 */
#ifndef CPRSHIM_LOADER_LIBRARY_H
#define CPRSHIM_LOADER_LIBRARY_H

#include "../state/cprstate.h"
#include "reasons.h"

void library_judge(const char *binary, const char *path, struct cprstate_versions theirs, struct reasons *reasons);
void library_hold(struct reasons *warnings);

#endif
