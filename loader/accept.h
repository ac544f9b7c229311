/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * accept.h - whether a CPR state is this process's own.
 *
 * The state names this very process (process id and start time survive an exec), the host's present boot and the memfd
 * that it is in, so that one that has strayed into another process's environment, or was copied, is not taken.
 */
#ifndef CPRSHIM_LOADER_ACCEPT_H
#define CPRSHIM_LOADER_ACCEPT_H

#include "../state/cprstate.h"

struct cprstate *accept_state(int fd, const char **ret_why);
void accept_make_room(void);
struct cprstate *accept_given(int fd, const char **ret_why);

#endif
