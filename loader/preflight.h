/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* preflight.h - can this VM be updated? Asked while the guest runs; nothing of it is touched. */
#ifndef CPRSHIM_LOADER_PREFLIGHT_H
#define CPRSHIM_LOADER_PREFLIGHT_H

#include <stdint.h>

#include "plan.h"
#include "reasons.h"

int preflight_plan(struct plan *plan, uint64_t deadline_ns, struct reasons *reasons);
int preflight_vm(struct plan *plan, bool *ret_running, struct reasons *reasons);
void preflight_flush(const struct plan *plan, struct reasons *reasons);
json_t *preflight_chardevs(uint64_t deadline_ns);
char *preflight_target(uint64_t deadline_ns);

#endif
