/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_status.c - cprctl status: a VM's descriptors, RAM blocks, blockers and last update. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "columns.h"
#include "ctl.h"
#include "descriptors.h"
#include "jget.h"
#include "result.h"
#include "text.h"
#include "vm.h"
#include "vmtable.h"

/**
 * struct status - what there is to show
 * @pid:	the VM
 * @table:	its descriptor table, NULL where there is none to trust
 * @table_err:	why: 0 or negative errno for vmtable_strerror()
 * @answer:	what it answered, NULL where it did not
 * @answer_err:	why: 0 or negative errno for client_strerror()
 */
struct status {
	pid_t pid;
	struct fdtable *table;
	int table_err;
	json_t *answer;
	int answer_err;
};

static int print_ram(const json_t *blocks)
{
	static const char *const headings[] = { "RAM BLOCK", "SIZE", "IN HUGE PAGES", "FD", "ADDRESS" };
	struct columns c = { .count = sizeof(headings) / sizeof(headings[0]) };
	const json_t *block;
	size_t i;
	int err;

	columns_row(&c, headings);
	json_array_foreach(blocks, i, block) {
		const json_t *address = json_object_get(block, "address");
		const json_t *huge = json_object_get(block, "huge");
		const json_t *fd = json_object_get(block, "fd");

		columns_add(&c, jget_text(block, "name"));
		columns_addf(&c, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(block, "size")));
		if (json_is_integer(huge))
			columns_addf(&c, "%" JSON_INTEGER_FORMAT, json_integer_value(huge));
		else
			columns_add(&c, "-");
		if (json_is_integer(fd))
			columns_addf(&c, "%" JSON_INTEGER_FORMAT, json_integer_value(fd));
		else
			columns_add(&c, "-");
		if (json_is_integer(address))
			columns_addf(&c, "0x%llx", (unsigned long long)json_integer_value(address));
		else
			columns_add(&c, jget_text(block, "address"));
	}
	err = columns_print(&c, stdout);
	columns_free(&c);
	return err;
}

static void print_line(const char *label, const char *text)
{
	printf("%-12s ", label);
	text_print(stdout, text);
	putchar('\n');
}

/* CPRSHIM_RAW, where it was asked for. */
static void print_raw(const json_t *raw)
{
	const json_t *left = json_object_get(raw, "left"), *function;
	size_t i, count = json_array_size(json_object_get(raw, "patched"));
	const char *state = jget_text(raw, "state");

	if (!strcmp(state, "unavailable")) {
		printf("%-12s unavailable: ", "raw");
		text_print(stdout, jget_text(raw, "why"));
		putchar('\n');
	} else if (!strcmp(state, "on")) {
		printf("%-12s on, %zu of %zu functions of libc\n", "raw", count, count + json_array_size(left));
	}
	json_array_foreach(left, i, function) {
		printf("%-12s left alone: ", "");
		text_print(stdout, jget_text(function, "function"));
		fputs("(): ", stdout);
		text_print(stdout, jget_text(function, "why"));
		putchar('\n');
	}
}

static void print_head(pid_t pid, const json_t *data)
{
	static const struct {
		const char *label, *key;
	} lines[] = {
		{ "name", "name" },	      { "version", "version" }, { "package", "package" },
		{ "binary", "binary" },	      { "machine", "machine" }, { "accelerator", "accelerator" },
		{ "run state", "run_state" }, { "method", "method" },	{ "replacement", "replacement" },
	};
	const json_t *generation = json_object_get(data, "generation");
	const json_t *outdated = json_object_get(data, "outdated");

	printf("%-12s %d\n", "PID", pid);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		print_line(lines[i].label, jget_text(data, lines[i].key));
	print_line("outdated", json_is_boolean(outdated) ? (json_is_true(outdated) ? "yes" : "no") : "-");
	if (json_is_string(json_object_get(data, "inhibited")))
		print_line("inhibited", jget_text(data, "inhibited"));
	print_raw(json_object_get(data, "raw"));
	if (json_is_integer(generation))
		printf("%-12s %" JSON_INTEGER_FORMAT "\n", "updates", json_integer_value(generation));
}

static int print_data(const json_t *data)
{
	const json_t *blockers = json_object_get(data, "blockers");
	const json_t *last = json_object_get(data, "last_update");
	int err;

	putchar('\n');
	err = print_ram(json_object_get(data, "ram"));
	if (err)
		return err;
	if (json_array_size(blockers)) {
		puts("\ncannot be updated now:");
		result_print_blockers(stdout, blockers);
	}
	if (json_is_object(last)) {
		char when[64];

		result_time(last, when, sizeof(when));
		printf("\nlast update, %s: ", when);
		result_print(stdout, last);
	}
	return 0;
}

static int print_status(const struct status *s)
{
	const json_t *data = json_object_get(s->answer, "data");
	int err = 0;

	if (data)
		print_head(s->pid, data);
	if (s->table) {
		if (data)
			putchar('\n');
		err = descriptors_print(s->table, json_object_get(data, "plan"));
	}
	if (!err && data)
		err = print_data(data);
	return err;
}

static int print_json(const struct status *s)
{
	json_t *data = json_incref(json_object_get(s->answer, "data"));
	int err;

	if (!json_is_object(data)) {
		json_decref(data);
		data = json_pack("{s:i}", "pid", (int)s->pid);
	}
	err = json_object_set_new(data, "descriptors", s->table ? descriptors_json(s->table) : json_null());
	if (!err)
		err = jget_print(data);
	else
		text_error("out of memory");
	json_decref(data);
	return err;
}

/* Each source is shown as far as it goes; what is missing is told on standard error. */
static int complain(const struct status *s)
{
	int code = CTL_OK;

	if (s->table_err) {
		text_error("no descriptor table of VM %d: %s", s->pid, vmtable_strerror(s->table_err));
		code = CTL_NO;
	} else if (s->table->incomplete) {
		text_error("the descriptor table of VM %d is incomplete: %s", s->pid, s->table->reason);
	}
	if (s->answer_err) {
		text_error("only the descriptor table of VM %d can be shown: %s", s->pid,
			   client_strerror(s->answer_err));
		code = CTL_NO;
	} else if (!json_is_object(json_object_get(s->answer, "data"))) {
		text_error("VM %d did not tell its status", s->pid);
		result_print_list(stderr, "  ", json_object_get(s->answer, "reasons"));
		code = CTL_NO;
	}
	return code;
}

static void gather(const struct vm *vm, const char *rundir, struct status *ret_status)
{
	struct status s = { .pid = vm->pid, .table_err = vm->table_err };

	if (!s.table_err) {
		s.table = malloc(sizeof(*s.table));
		s.table_err = s.table ? vmtable_read(vm->table_fd, s.table) : -ENOMEM;
	}
	if (s.table_err) {
		free(s.table);
		s.table = NULL;
	}
	s.answer_err = client_query(vm, rundir, "status", &s.answer);
	*ret_status = s;
}

/**
 * cmd_status() - cprctl status
 * @opts: the command line
 *
 * Return: CTL_OK where all of it could be shown, else CTL_NO.
 */
int cmd_status(const struct options *opts)
{
	struct status s;
	struct vm vm;
	int code;

	if (vm_open(opts->pid, &vm))
		return CTL_NO;
	gather(&vm, opts->rundir, &s);
	vm_close(&vm);
	code = complain(&s);
	if ((opts->seen & OPT_JSON) ? print_json(&s) : print_status(&s))
		code = CTL_NO;
	json_decref(s.answer);
	free(s.table);
	return code;
}
