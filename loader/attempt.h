/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* attempt.h - an update that is being tried, and all that is looked at while the guest runs. */
#ifndef CPRSHIM_LOADER_ATTEMPT_H
#define CPRSHIM_LOADER_ATTEMPT_H

#include <jansson.h>
#include <stdbool.h>

#include "forecast.h"
#include "freeze.h"
#include "handover.h"
#include "method.h"
#include "plan.h"
#include "reasons.h"
#include "update.h"

/* Commands of ours are answered at once by a QEMU that is well; stop and save may wait for storage. */
#define ATTEMPT_STEP_MS 30000

/**
 * struct attempt - an update that is being tried
 * @request: what is asked for
 * @h:	     what is handed over
 * @freeze:  how far the guest is stopped
 * @plan:    what becomes of the descriptors
 * @script:  the command that a script alone is
 * @room:    there is room for a second QEMU: one may be started to be tried
 * @measured: what rehearsals of it took
 * @method:  how it is to be done
 * @about:   what the replacement has told of itself, or NULL
 * @reasons, @warnings: so far
 */
struct attempt {
	const struct update_request *request;
	struct handover h;
	struct freeze freeze;
	struct plan plan;
	char *script[2];
	bool room;
	struct measured measured;
	struct method method;
	json_t *about;
	struct reasons reasons;
	struct reasons warnings;
};

struct attempt *attempt_begin(const struct update_request *request);
void attempt_end(struct attempt *a);
void attempt_progress(const struct attempt *a, const char *stage, const char *text);
void attempt_progress_while_running(const struct attempt *a, const char *stage, const char *text);
int attempt_plan_again(struct attempt *a);
int attempt_check_vm(struct attempt *a);
void attempt_check(struct attempt *a);

#endif
