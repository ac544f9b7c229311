/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * namedfds.h - descriptors that monitors' clients have passed in (getfd), over an update.
 *
 * What has taken one by its name is added again with its number (loader/fdnames.h, loader/hotplug.h). One that nobody has
 * taken yet is passed to the same monitor of the new QEMU, under its name, when that monitor gets its client
 * (loader/monitors.h).
 */
#ifndef CPRSHIM_LOADER_NAMEDFDS_H
#define CPRSHIM_LOADER_NAMEDFDS_H

#include "handover.h"
#include "plan.h"
#include "reasons.h"

enum plan_action namedfds_plan(struct planned *p, struct reasons *blockers);
void namedfds_check(const struct plan *plan, struct reasons *blockers);
int namedfds_put(struct handover *h, const struct plan *plan);
int namedfds_pass(const json_t *arguments, uint64_t deadline_ns, char *error);

#endif
