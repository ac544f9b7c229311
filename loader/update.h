/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* update.h - one update, from the request to the exec. */
#ifndef CPRSHIM_LOADER_UPDATE_H
#define CPRSHIM_LOADER_UPDATE_H

#include <jansson.h>
#include <stdbool.h>

#include "reasons.h"

/**
 * struct update_request - what is asked for
 * @binary:    replacement, or NULL for the configured one
 * @argv:      command that ends in the replacement, ended by NULL; NULL: @binary counts
 * @method:    or NULL for the configured one
 * @to:	       socket at which another process waits for the guest (receiver.h), or NULL
 * @original:  channel to the process that the guest is to go back to (original.h), or -1
 * @relayed:   how it came from that process: a result as JSON, or NULL
 * @hold:      leave the guest paused afterwards, for the user to continue
 * @rehearse:  try it beside the guest first, and how far
 * @max_blackout_ms: refuse where the guest is expected to stand still for longer; 0: as long as it takes
 * @timeout_s: 0 for the configured one
 * @requester: connection that waits for the outcome, or -1
 */
struct update_request {
	const char *binary;
	char **argv;
	const char *method;
	const char *to;
	int original;
	const char *relayed;
	bool hold;
	enum { REHEARSE_NOT, REHEARSE_FIRST, REHEARSE_FULL } rehearse;
	unsigned int max_blackout_ms;
	unsigned int timeout_s;
	int requester;
};

json_t *update_run(const struct update_request *request);
void update_bring_back(const struct update_request *request, struct reasons *reasons);
json_t *update_check(const struct update_request *request);

#endif
