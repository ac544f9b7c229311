/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_check.c - cprctl check: can a VM be updated? */
#include <jansson.h>
#include <stdio.h>

#include "allowed.h"
#include "client.h"
#include "ctl.h"
#include "jget.h"
#include "result.h"
#include "text.h"
#include "vm.h"

static void print_replacement(const json_t *to)
{
	if (!*jget_text_or(to, "version", ""))
		return;
	fputs("  replacement: ", stdout);
	text_print(stdout, jget_text(to, "binary"));
	fputs(", QEMU ", stdout);
	text_print(stdout, jget_text(to, "version"));
	if (*jget_text_or(to, "package", "")) {
		fputs(" (", stdout);
		text_print(stdout, jget_text(to, "package"));
		putchar(')');
	}
	fputs(", for ", stdout);
	text_print(stdout, jget_text(to, "target"));
	printf(", with %zu machine types\n", json_array_size(json_object_get(to, "machines")));
}

static void print_forecast(const json_t *answer)
{
	const json_t *rehearsal = json_object_get(answer, "rehearsal");
	const json_t *forecast = json_object_get(answer, "predicted_blackout");

	if (json_is_number(json_object_get(rehearsal, "blackout_ms")))
		printf("  rehearsed: the guest stood still for %.1f ms\n",
		       json_number_value(json_object_get(rehearsal, "blackout_ms")));
	result_print_list(stdout, "  left out: ", json_object_get(rehearsal, "not_rehearsed"));
	if (!json_is_number(json_object_get(forecast, "ms")))
		return;
	printf("  predicted blackout: %.0f ms (from: ", json_number_value(json_object_get(forecast, "ms")));
	text_print(stdout, jget_text(forecast, "from"));
	puts(")");
}

static void print_answer(pid_t pid, const json_t *answer, bool ok)
{
	const json_t *reasons = json_object_get(answer, "reasons"), *blockers = json_object_get(answer, "blockers");

	printf("VM %d %s\n", pid, ok ? "can be updated" : "cannot be updated:");
	if (!ok && !json_array_size(reasons))
		puts("  it gave no reason");
	print_replacement(json_object_get(answer, "to"));
	print_forecast(answer);
	if (json_array_size(blockers))
		result_print_blockers(stdout, blockers);
	else
		result_print_list(stdout, "  ", reasons);
	result_print_list(stdout, "  warning: ", json_object_get(answer, "warnings"));
}

/**
 * cmd_check() - cprctl check
 * @opts: the command line
 *
 * Return: CTL_OK where it can, CTL_NO.
 */
int cmd_check(const struct options *opts)
{
	json_t *answer, *request = json_pack("{s:s, s:s*}", "command", "check", "binary", opts->binary);
	int unset = opts->seen & OPT_COMMAND ? json_object_set_new(request, "argv", client_argv(opts->program)) : 0;
	struct vm vm;
	bool ok;
	int err;

	if (opts->seen & OPT_REHEARSE)
		unset |= json_object_set_new(request, "rehearse",
					     opts->rehearse ? json_string(opts->rehearse) : json_true());
	if (opts->max_blackout)
		unset |= json_object_set_new(request, "max_blackout", json_integer(opts->max_blackout));
	if (!request || unset) {
		json_decref(request);
		text_error(
			"cannot write the request: out of memory, or the replacement is not found, or its name is not UTF-8");
		return CTL_NO;
	}
	if (!allowed_replacement(opts) || vm_open(opts->pid, &vm)) {
		json_decref(request);
		return CTL_NO;
	}
	err = client_ask(&vm, opts->rundir, request, CLIENT_CHECK_MS, NULL, NULL, &answer);
	json_decref(request);
	vm_close(&vm);
	if (err) {
		text_error("VM %d cannot be checked: %s", opts->pid, client_strerror(err));
		return CTL_NO;
	}
	ok = json_is_true(json_object_get(answer, "ok"));
	if (opts->seen & OPT_JSON)
		err = jget_print(answer);
	else
		print_answer(opts->pid, answer, ok);
	json_decref(answer);
	return ok && !err ? CTL_OK : CTL_NO;
}
