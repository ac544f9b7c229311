/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * method.h - how the guest gets to the new QEMU: which method an update takes, and why.
 *
 * "auto" is relay where all that the VM holds can go to another process for a while, as that spares the guest the new QEMU's
 * start-up; and exec otherwise. Both keep the process id.
 */
#ifndef CPRSHIM_LOADER_METHOD_H
#define CPRSHIM_LOADER_METHOD_H

#include <stdbool.h>

#include "handover.h"
#include "plan.h"
#include "reasons.h"
#include "update.h"

#define METHOD_WHY_MAX 256

/**
 * struct method - how one update is done
 * @name: "exec", "transfer" or "relay"; until method_settle() it may be "auto"
 * @why:  what it was taken for, half a sentence
 */
struct method {
	const char *name;
	char why[METHOD_WHY_MAX];
};

void method_choose(struct method *m, const struct update_request *request, struct handover *h, struct reasons *reasons);
void method_settle(struct method *m, const struct plan *plan, struct handover *h, struct reasons *reasons);
bool method_is_beside(const struct method *m);

#endif
