/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_inhibit.c - cprctl inhibit, cprctl uninhibit: have a VM refuse updates, and no longer. */
#include <jansson.h>
#include <stdio.h>

#include "client.h"
#include "ctl.h"
#include "result.h"
#include "text.h"
#include "vm.h"

static int ask(const struct options *opts, json_t *request, const char *done)
{
	json_t *answer;
	struct vm vm;
	int err;

	if (!request) {
		text_error("cannot write the request: out of memory, or the reason is not UTF-8");
		return CTL_NO;
	}
	if (vm_open(opts->pid, &vm)) {
		json_decref(request);
		return CTL_NO;
	}
	err = client_ask(&vm, opts->rundir, request, CLIENT_SOON_MS, NULL, NULL, &answer);
	json_decref(request);
	vm_close(&vm);
	if (err) {
		text_error("VM %d was not told: %s", opts->pid, client_strerror(err));
		return CTL_NO;
	}
	bool ok = json_is_true(json_object_get(answer, "ok"));
	if (ok) {
		printf("VM %d %s\n", opts->pid, done);
	} else {
		text_error("VM %d refused:", opts->pid);
		result_print_list(stderr, "  ", json_object_get(answer, "reasons"));
	}
	json_decref(answer);
	return ok ? CTL_OK : CTL_NO;
}

/**
 * cmd_inhibit() - cprctl inhibit
 * @opts: the command line
 *
 * Return: CTL_OK or CTL_NO.
 */
int cmd_inhibit(const struct options *opts)
{
	return ask(opts, json_pack("{s:s, s:s*}", "command", "inhibit", "reason", opts->reason),
		   "refuses updates until cprctl uninhibit");
}

/**
 * cmd_uninhibit() - cprctl uninhibit
 * @opts: the command line
 *
 * Return: CTL_OK or CTL_NO.
 */
int cmd_uninhibit(const struct options *opts)
{
	return ask(opts, json_pack("{s:s}", "command", "uninhibit"), "is not inhibited");
}
