/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rollback.h - from a successor that cannot run the guest back to the binary that did.
 *
 * Armed before main(), disarmed by the commit mark. Until then the device state is what it was and guest RAM is
 * untouched but for what loading writes (which loading again writes too), so the old binary is exec'd with the very
 * state that the successor got: on any exit or abort, fatal signal, rejected state or missed deadline. Where that fails in
 * the old binary too, the program ends, and the guardian starts it again (revive.h).
 */
#ifndef CPRSHIM_LOADER_ROLLBACK_H
#define CPRSHIM_LOADER_ROLLBACK_H

#include "../state/cprstate.h"

int rollback_arm(const struct cprstate *state, int state_fd);
void rollback_commit(void);
void rollback_uncommit(void);
void rollback_disarm(void);
const char *rollback_which(void);
void rollback_on_exit(const char *how, int status);
void rollback_now(const char *format, ...) __attribute__((format(printf, 1, 2)));
void rollback_capture_stderr(void);
void rollback_release_output(void);

#endif
