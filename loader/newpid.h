/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* newpid.h - the guest's process has died, and another was started in its place (revive.h). */
#ifndef CPRSHIM_LOADER_NEWPID_H
#define CPRSHIM_LOADER_NEWPID_H

#include "../state/cprstate.h"

void newpid_take(const struct cprstate *state);

#endif
