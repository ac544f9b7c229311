/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* update.h - have a VM updated, and find out what became of it. */
#ifndef CPRSHIM_CTL_UPDATE_H
#define CPRSHIM_CTL_UPDATE_H

#include <jansson.h>

#include "client.h"
#include "ctl.h"
#include "vm.h"

/**
 * struct update_outcome - what became of an update
 * @code:   CTL_OK, CTL_NO or CTL_LOST
 * @result: the VM's own word, a new reference; NULL where there is none
 * @text:   what else there is to say, a sentence without its end; or ""
 */
struct update_outcome {
	int code;
	json_t *result;
	char text[4352];
};

json_t *update_request(const struct options *opts);
void update_ask(const struct vm *vm, const struct options *opts, const json_t *request, client_progress progress,
		void *opaque, struct update_outcome *ret);
int update_all(const struct options *opts);

#endif
