/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* result.h - how an update ended, as JSON (docs/control-protocol.md), and the list of past ones. */
#ifndef CPRSHIM_LOADER_RESULT_H
#define CPRSHIM_LOADER_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "reasons.h"
#include "vm.h"

/**
 * struct result_start - when an update began, and to what
 * @ms, @ns: by CLOCK_REALTIME and CLOCK_MONOTONIC
 * @target:  the replacement
 * @method, @why: how it is done, and what that was taken for (method.h)
 */
struct result_start {
	uint64_t ms;
	uint64_t ns;
	const struct vm_binary *target;
	const char *method;
	const char *why;
};

json_t *result_refused(const struct result_start *start, const struct reasons *reasons);
json_t *result_failed(const struct result_start *start, const struct reasons *reasons);
void result_stays(json_t *result, const struct reasons *reasons, const struct reasons *warnings);
json_t *result_of_successor(const struct reasons *warnings);

#endif
