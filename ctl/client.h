/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* client.h - the VM's control socket (docs/control-protocol.md). */
#ifndef CPRSHIM_CTL_CLIENT_H
#define CPRSHIM_CTL_CLIENT_H

#include <jansson.h>

#include "vm.h"

/* How long a VM may take over an answer that it has at hand, and over one that makes it look around. */
#define CLIENT_SOON_MS	5000
#define CLIENT_CHECK_MS 60000

typedef void (*client_progress)(const json_t *line, void *opaque);

int client_ask(const struct vm *vm, const char *rundir, const json_t *request, int timeout_ms, client_progress progress,
	       void *opaque, json_t **ret_answer);
json_t *client_argv(char *const argv[]);
int client_query(const struct vm *vm, const char *rundir, const char *command, json_t **ret_answer);
const char *client_strerror(int err);

#endif
