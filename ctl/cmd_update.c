/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_update.c - cprctl update: update a VM and wait for the outcome. */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "allowed.h"
#include "client.h"
#include "ctl.h"
#include "jget.h"
#include "result.h"
#include "standing.h"
#include "text.h"
#include "vm.h"

/* How long to wait where no limit was given, and how much longer than the VM itself does. */
#define WAIT_DEFAULT_S 600
#define WAIT_MARGIN_S  30

/* The connection ends a moment before the process does; a result comes from one that should live. */
#define DEATH_MS      3000
#define LATE_DEATH_MS 200

static bool talks;
/* The process that has the guest for as long as it stands still, by its own word; or 0. */
static json_int_t guardian;

static void take_progress(const json_t *line)
{
	const json_t *pid = json_object_get(line, "guardian");

	if (pid)
		guardian = json_integer_value(pid);
	if (!talks)
		return;
	text_print(stderr, jget_text(line, "stage"));
	fputs(": ", stderr);
	text_print(stderr, jget_text_or(line, "text", ""));
	fputc('\n', stderr);
}

static json_t *make_request(const struct options *opts)
{
	json_t *request = json_pack("{s:s}", "command", "update");
	int err = 0;

	if (opts->seen & OPT_COMMAND)
		err |= json_object_set_new(request, "argv", client_argv(opts->program));
	if (opts->binary)
		err |= json_object_set_new(request, "binary", json_string(opts->binary));
	if (opts->method)
		err |= json_object_set_new(request, "method", json_string(opts->method));
	if (opts->to)
		err |= json_object_set_new(request, "to", json_string(opts->to));
	if (opts->seen & OPT_PAUSED)
		err |= json_object_set_new(request, "paused", json_true());
	if (opts->seen & OPT_NO_REHEARSE)
		err |= json_object_set_new(request, "rehearse", json_false());
	if (opts->max_blackout)
		err |= json_object_set_new(request, "max_blackout", json_integer(opts->max_blackout));
	if (opts->timeout)
		err |= json_object_set_new(request, "timeout", json_integer(opts->timeout));
	if (request && !err)
		return request;
	json_decref(request);
	text_error(
		"cannot write the request: out of memory, or the replacement is not found, or its name is not UTF-8");
	return NULL;
}

/* Says it where the guest is not lost, though its process is. */
static bool stands_still(void)
{
	char text[4096];
	struct vm vm;

	if (guardian <= 0 || guardian > INT_MAX || vm_find((pid_t)guardian, &vm) != -ENOENT ||
	    standing_read((pid_t)guardian, &vm.id, text, sizeof(text)))
		return false;
	text_error("process %d: %s", (int)guardian, text);
	return true;
}

/* There is no result; the kernel knows at least whether there still is a process. */
static int explain(const struct vm *vm, int err)
{
	if (stands_still())
		return CTL_NO;
	if (vm_gone(vm, err == -ECONNRESET ? DEATH_MS : 0)) {
		text_error("process %d is gone without a result: the guest is lost", vm->pid);
		return CTL_LOST;
	}
	switch (err) {
	case -ECONNRESET:
	case -EMSGSIZE:
	case -EBADMSG:
		text_error("no outcome of VM %d: %s. The process lives; cprctl status and its log tell more", vm->pid,
			   client_strerror(err));
		break;
	case -ETIMEDOUT:
		text_error("no outcome of VM %d in time. The process lives and may still be updating", vm->pid);
		break;
	case -ENOENT:
	case -ECONNREFUSED:
	case -EACCES:
	case -EREMCHG:
		text_error("VM %d was not updated: %s", vm->pid, client_strerror(err));
		break;
	default:
		text_error("no outcome of VM %d: %s", vm->pid, client_strerror(err));
	}
	return CTL_NO;
}

/* Was the process lost and the guest not? Another one then has it, which is a VM by all that can be seen from here. */
static bool lives_on(const json_t *result)
{
	json_int_t pid = json_integer_value(json_object_get(result, "pid"));
	struct vm vm;

	if (pid <= 0 || pid > INT_MAX || vm_find((pid_t)pid, &vm))
		return false;
	vm_close(&vm);
	return true;
}

static bool ended(const json_t *result)
{
	return !strcmp(jget_text_or(result, "outcome", ""), "ended");
}

static int report(const struct vm *vm, const struct options *opts, const json_t *result)
{
	bool updated = result_updated(result);
	/* by the method transfer, a new process has the guest */
	bool lost = !updated && !ended(result) && vm_gone(vm, LATE_DEATH_MS) && !lives_on(result);

	if (opts->seen & OPT_JSON)
		jget_print(result);
	else if (!lost)
		result_print(updated ? stdout : stderr, result);
	else
		result_print_list(stderr, "  reason: ", json_object_get(result, "reasons"));
	if (lost)
		text_error("process %d is gone, and there was no update: the guest is lost", vm->pid);
	return updated ? CTL_OK : lost ? CTL_LOST : CTL_NO;
}

/**
 * cmd_update() - cprctl update
 * @opts: the command line
 *
 * Return: CTL_OK, CTL_NO or CTL_LOST.
 */
int cmd_update(const struct options *opts)
{
	int seconds = (opts->timeout ? opts->timeout : WAIT_DEFAULT_S) + WAIT_MARGIN_S;
	json_t *request, *result;
	struct vm vm;
	int err, code;

	talks = (opts->seen & OPT_VERBOSE) || isatty(STDERR_FILENO);
	request = make_request(opts);
	if (!request)
		return CTL_NO;
	if (!allowed_replacement(opts) || vm_open(opts->pid, &vm)) {
		json_decref(request);
		return CTL_NO;
	}
	err = client_ask(&vm, opts->rundir, request, seconds * 1000, take_progress, &result);
	json_decref(request);
	if (err) {
		code = explain(&vm, err);
	} else {
		code = report(&vm, opts, result);
		json_decref(result);
	}
	vm_close(&vm);
	return code;
}
