/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vhosts.h - the kernel's vhost devices over an update (shim/vhost.h says what they are).
 *
 * What QEMU opens itself is closed by the exec, and the new QEMU opens its own. What it was given by number (vhostfd=) goes
 * through the exec; a network's is taken from its owner first, a vsock's is opened anew.
 */
#ifndef CPRSHIM_LOADER_VHOSTS_H
#define CPRSHIM_LOADER_VHOSTS_H

#include "../shim/inspect.h"
#include "../state/cprstate.h"
#include "execute.h"
#include "plan.h"
#include "reasons.h"

enum plan_action vhosts_plan(const struct inspected *it, bool given, struct reasons *blockers);
void vhosts_warn(const struct plan *plan, struct reasons *warnings);
void vhosts_keep(struct execution *e, const struct cpr_fd *rec);

#endif
