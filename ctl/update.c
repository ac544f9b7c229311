/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * update.c - have a VM updated, and find out what became of it.
 *
 * The update is the VM's own doing: it goes on whatever becomes of us.
 */
#include "update.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "jget.h"
#include "places.h"
#include "result.h"
#include "standing.h"
#include "text.h"

/* How long to wait where no limit was given, and how much longer than the VM itself does. */
#define WAIT_DEFAULT_S 600
#define WAIT_MARGIN_S  30

/* The connection ends a moment before the process does; a result comes from one that should live. */
#define DEATH_MS      3000
#define LATE_DEATH_MS 200

/**
 * struct asked - an update under way
 * @guardian: the process that has the guest for as long as it stands still, by its own word; or 0
 * @progress: of the caller, or NULL
 * @opaque:   for @progress
 */
struct asked {
	json_int_t guardian;
	client_progress progress;
	void *opaque;
};

static void take_progress(const json_t *line, void *opaque)
{
	const json_t *pid = json_object_get(line, "guardian");
	struct asked *asked = opaque;

	if (pid)
		asked->guardian = json_integer_value(pid);
	if (asked->progress)
		asked->progress(line, asked->opaque);
}

/**
 * update_request() - what the VM is to be asked
 * @opts: the command line
 *
 * Return: the request, a new reference; NULL where it cannot be made, which was then said on standard error.
 */
json_t *update_request(const struct options *opts)
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

/* Is the guest not lost, though its process is? Then it is said. */
static bool stands_still(json_int_t guardian, struct update_outcome *ret)
{
	char text[4096];
	struct vm vm;

	if (guardian <= 0 || guardian > INT_MAX || vm_find((pid_t)guardian, &vm) != -ENOENT ||
	    standing_read((pid_t)guardian, &vm.id, text, sizeof(text)))
		return false;
	snprintf(ret->text, sizeof(ret->text), "process %d: %s", (int)guardian, text);
	return true;
}

/* There is no result; the kernel knows at least whether there still is a process. */
static void explain(const struct vm *vm, json_int_t guardian, int err, struct update_outcome *ret)
{
	const char *why = client_strerror(err);
	size_t size = sizeof(ret->text);

	ret->code = CTL_NO;
	if (stands_still(guardian, ret))
		return;
	if (vm_gone(vm, err == -ECONNRESET ? DEATH_MS : 0)) {
		snprintf(ret->text, size, "process %d is gone without a result: the guest is lost", vm->pid);
		ret->code = CTL_LOST;
		return;
	}
	switch (err) {
	case -ECONNRESET:
	case -EMSGSIZE:
	case -EBADMSG:
		snprintf(ret->text, size,
			 "no outcome of VM %d: %s. The process lives; cprctl status and its log tell more", vm->pid,
			 why);
		break;
	case -ETIMEDOUT:
		snprintf(ret->text, size, "no outcome of VM %d in time. The process lives and may still be updating",
			 vm->pid);
		break;
	case -ENOENT:
	case -EOPNOTSUPP:
	case -ECONNREFUSED:
	case -EACCES:
	case -EREMCHG:
		snprintf(ret->text, size, "VM %d was not updated: %s", vm->pid, why);
		break;
	default:
		snprintf(ret->text, size, "no outcome of VM %d: %s", vm->pid, why);
	}
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

static void judge(const struct vm *vm, struct update_outcome *ret)
{
	ret->code = result_updated(ret->result) ? CTL_OK : CTL_NO;
	/* by the method transfer, a new process has the guest */
	if (ret->code == CTL_OK || ended(ret->result) || !vm_gone(vm, LATE_DEATH_MS) || lives_on(ret->result))
		return;
	ret->code = CTL_LOST;
	snprintf(ret->text, sizeof(ret->text), "process %d is gone, and there was no update: the guest is lost",
		 vm->pid);
}

/**
 * update_ask() - have a VM updated, and wait for the outcome
 * @vm:	      the VM
 * @opts:     the command line
 * @request:  what update_request() made of it
 * @progress: called for each progress line, or NULL
 * @opaque:   for @progress
 * @ret:      what became of it
 *
 * Any thread may call it.
 */
void update_ask(const struct vm *vm, const struct options *opts, const json_t *request, client_progress progress,
		void *opaque, struct update_outcome *ret)
{
	int seconds = (opts->timeout ? opts->timeout : WAIT_DEFAULT_S) + WAIT_MARGIN_S;
	struct asked asked = { .progress = progress, .opaque = opaque };
	json_t *places = places_note(vm);
	int err;

	*ret = (struct update_outcome){ .code = CTL_NO };
	err = client_ask(vm, opts->rundir, request, seconds * 1000, take_progress, &asked, &ret->result);
	if (err)
		explain(vm, asked.guardian, err, ret);
	else
		judge(vm, ret);
	places_restore(vm, places, ret->result);
	json_decref(places);
}
