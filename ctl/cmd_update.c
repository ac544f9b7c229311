/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_update.c - cprctl update: update a VM and wait for the outcome. */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "allowed.h"
#include "ctl.h"
#include "jget.h"
#include "result.h"
#include "text.h"
#include "update.h"
#include "vm.h"

static void print_progress(const json_t *line, void *opaque)
{
	(void)opaque;
	text_print(stderr, jget_text(line, "stage"));
	fputs(": ", stderr);
	text_print(stderr, jget_text_or(line, "text", ""));
	fputc('\n', stderr);
}

static void report(const struct options *opts, const struct update_outcome *outcome)
{
	if (!outcome->result)
		;
	else if (opts->seen & OPT_JSON)
		jget_print(outcome->result);
	else if (outcome->code != CTL_LOST)
		result_print(outcome->code == CTL_OK ? stdout : stderr, outcome->result);
	else
		result_print_list(stderr, "  reason: ", json_object_get(outcome->result, "reasons"));
	if (outcome->text[0])
		text_error("%s", outcome->text);
}

static int update_one(const struct options *opts)
{
	bool talks = (opts->seen & OPT_VERBOSE) || isatty(STDERR_FILENO);
	json_t *request = update_request(opts);
	struct update_outcome outcome;
	struct vm vm;

	if (!request)
		return CTL_NO;
	if (vm_open(opts->pid, &vm)) {
		json_decref(request);
		return CTL_NO;
	}
	update_ask(&vm, opts, request, talks ? print_progress : NULL, NULL, &outcome);
	report(opts, &outcome);
	json_decref(outcome.result);
	json_decref(request);
	vm_close(&vm);
	return outcome.code;
}

/**
 * cmd_update() - cprctl update
 * @opts: the command line
 *
 * Return: CTL_OK, CTL_NO or CTL_LOST.
 */
int cmd_update(const struct options *opts)
{
	if (!allowed_replacement(opts))
		return CTL_NO;
	return opts->seen & OPT_EVERY_VM ? update_all(opts) : update_one(opts);
}
