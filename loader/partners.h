/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * partners.h - devices of which the other half is in another process: vhost-user back ends, TPM emulators.
 *
 * QEMU talks to such a process for the guest, and when it stops: it asks where the back end's rings are and for the
 * TPM's state, which become a part of the devices' state.
 */
#ifndef CPRSHIM_LOADER_PARTNERS_H
#define CPRSHIM_LOADER_PARTNERS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "../state/cprstate.h"
#include "plan.h"
#include "reasons.h"

void partners_plan(struct plan *plan, const json_t *chardevs, uint64_t deadline_ns, struct reasons *blockers);
bool partners_have_rings(const struct plan *plan);
int partners_check_rings(const struct plan *plan, uint64_t deadline_ns, struct reasons *reasons);
int partners_rehearse(void);
bool partners_rehearsable(int fd, const char **ret_name);
int partners_settle(const struct cprstate *state);

#endif
