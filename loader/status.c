/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* status.c - what this VM is, and what an update of it would meet. */
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../shim/raw.h"
#include "../shim/real.h"
#include "../shim/settings.h"
#include "hugepages.h"
#include "plan.h"
#include "preflight.h"
#include "qmp.h"
#include "ramblocks.h"
#include "vm.h"

/* Where a script is configured, nobody knows without running it. */
static json_t *is_outdated(void)
{
	struct stat running, now;
	int fd = real(open)(vm.configured, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool script = fd >= 0 && start_is_script(fd);

	if (fd >= 0)
		real(close)(fd);
	if (script)
		return json_null();
	return json_boolean(
		!fstat(vm.binary.fd, &running) &&
		(stat(vm.configured, &now) || running.st_dev != now.st_dev || running.st_ino != now.st_ino));
}

static json_t *ram_json(struct reasons *reasons)
{
	static struct ramblock blocks[RAMBLOCK_MAX];
	static struct hugerange huge[RAMBLOCK_MAX];
	json_t *list = json_array();
	size_t count;

	if (ramblocks_query(blocks, &count, qmp_in_ms(5000), reasons))
		return list;
	for (size_t i = 0; i < count; i++)
		huge[i] = (struct hugerange){ .addr = blocks[i].host, .size = blocks[i].max };
	hugepages_count(huge, count);
	for (size_t i = 0; i < count; i++)
		if (blocks[i].name[0])
			json_array_append_new(list, json_pack("{s:s, s:I, s:I, s:i, s:I}", "name", blocks[i].name,
							      "size", (json_int_t)blocks[i].used, "address",
							      (json_int_t)blocks[i].host, "fd", blocks[i].fd, "huge",
							      (json_int_t)huge[i].bytes));
	ramblocks_check(blocks, count, reasons);
	return list;
}

static json_t *text_of(const char *command, const char *member)
{
	char error[QMP_ERROR_MAX];
	json_t *answer = qmp_command(&qmp_private, command, NULL, qmp_in_ms(5000), error);
	json_t *text = json_incref(json_object_get(answer, member));

	json_decref(answer);
	return text ? text : json_string("");
}

static const char *accelerator(void)
{
	char error[QMP_ERROR_MAX];
	json_t *answer = qmp_command(&qmp_private, "query-kvm", NULL, qmp_in_ms(5000), error);
	bool kvm = json_is_true(json_object_get(answer, "enabled"));

	json_decref(answer);
	return kvm ? "kvm" : "tcg";
}

static json_t *raw_json(void)
{
	static const char *const states[] = { [RAW_OFF] = "off", [RAW_ON] = "on", [RAW_UNAVAILABLE] = "unavailable" };
	json_t *patched = json_array(), *left = json_array();

	for (size_t i = 0; i < raw_count(); i++) {
		struct raw_function function = raw_function(i);

		if (function.why)
			json_array_append_new(left,
					      json_pack("{s:s, s:s}", "function", function.name, "why", function.why));
		else
			json_array_append_new(patched, json_string(function.name));
	}
	return json_pack("{s:s, s:s?, s:o, s:o}", "state", states[raw_state()], "why",
			 raw_state() == RAW_UNAVAILABLE ? raw_why() : NULL, "patched", patched, "left", left);
}

/** status_answer() - the answer to "status", a new reference */
json_t *status_answer(void)
{
	struct reasons reasons = REASONS_INIT;
	struct plan plan;
	bool running;
	json_t *data =
		json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:i, s:s}", "pid", (int)getpid(), "name",
			  vm.name, "binary", vm.binary.path, "version", vm.binary.version, "package", vm.binary.package,
			  "machine", vm.machine, "method", settings.method, "replacement", vm.configured, "outdated",
			  is_outdated(), "generation", (int)vm.generation, "accelerator", accelerator());

	json_object_set_new(data, "run_state", text_of("query-status", "status"));
	preflight_vm(&plan, &running, &reasons);
	json_object_set_new(data, "ram", ram_json(&reasons));
	json_object_set_new(data, "plan", plan_json(&plan));
	json_object_set_new(data, "raw", raw_json());
	json_object_set_new(data, "inhibited", vm.inhibited[0] ? json_string(vm.inhibited) : json_null());
	json_object_set_new(data, "blockers", reasons_blockers(&reasons));
	json_t *last = json_array_get(vm.history, json_array_size(vm.history) - 1);
	json_object_set_new(data, "last_update", last ? json_copy(last) : json_null());
	plan_free(&plan);
	reasons_free(&reasons);
	return json_pack("{s:b, s:o}", "ok", 1, "data", data);
}

/** status_history() - the answer to "history", a new reference */
json_t *status_history(void)
{
	return json_pack("{s:b, s:O}", "ok", 1, "data", vm.history);
}
