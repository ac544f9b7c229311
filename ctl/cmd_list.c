/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_list.c - cprctl list: every VM under the shim that the caller may see. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../state/elffile.h"
#include "client.h"
#include "columns.h"
#include "ctl.h"
#include "jget.h"
#include "standing.h"
#include "text.h"
#include "vm.h"

#define DELETED " (deleted)"

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len >= end_len && !strcmp(text + len - end_len, end);
}

static int set_text(json_t *row, const char *key, const char *text)
{
	return json_object_set_new(row, key, jget_new_text(text));
}

/* One VM's row, which is also what --json prints. Return: NULL where memory is short. */
static json_t *describe(const struct vm *vm, const json_t *answer, const char *note)
{
	const json_t *data = json_object_get(answer, "data");
	const json_t *outdated = json_object_get(data, "outdated");
	json_t *row = json_pack("{s:i}", "pid", (int)vm->pid);
	char exe[PATH_MAX];
	bool deleted;
	int err;

	/* which file runs is the kernel's to say, not the VMM's */
	if (proc_exe(vm->pid, exe))
		exe[0] = '\0';
	deleted = ends_with(exe, DELETED);
	if (deleted)
		exe[strlen(exe) - strlen(DELETED)] = '\0';
	/* but of a QEMU that was given to a dynamic loader the kernel shows the loader */
	if (elffile_is_loader(exe) && jget_text_or(data, "binary", NULL))
		snprintf(exe, sizeof(exe), "%s", jget_text(data, "binary"));
	err = set_text(row, "binary", *exe ? exe : NULL);
	err |= set_text(row, "name", jget_text_or(data, "name", NULL));
	err |= set_text(row, "version", jget_text_or(data, "version", NULL));
	err |= set_text(row, "note", note);
	if (deleted || json_is_boolean(outdated))
		err |= json_object_set_new(row, "outdated", json_boolean(deleted || json_is_true(outdated)));
	else
		err |= json_object_set_new(row, "outdated", json_null());
	if (!err)
		return row;
	json_decref(row);
	return NULL;
}

/* A guardian has no VM, but may have a guest. */
static int add_standing(json_t *rows, const struct vm *vm)
{
	char text[4096];

	if (standing_read(vm->pid, &vm->id, text, sizeof(text)))
		return 0;
	return json_array_append_new(rows, describe(vm, NULL, text)) ? -ENOMEM : 0;
}

/* Return: 0 also where the process is no VM; negative errno where memory is short. */
static int add_process(json_t *rows, pid_t pid, const char *rundir)
{
	json_t *answer = NULL;
	struct vm vm;
	int err;

	err = vm_find(pid, &vm);
	if (err == -ENOENT)
		return add_standing(rows, &vm);
	/* a process that may not be looked into is none that the caller may see */
	if (err)
		return 0;
	if (vm.table_err) {
		vm_close(&vm);
		return 0;
	}
	err = client_query(&vm, rundir, "status", &answer);
	/* one that has ended meanwhile is left out */
	err = vm_gone(&vm, 0) ? 0
			      : json_array_append_new(rows, describe(&vm, answer, err ? client_strerror(err) : NULL));
	json_decref(answer);
	vm_close(&vm);
	return err ? -ENOMEM : 0;
}

static int scan(json_t *rows, const char *rundir)
{
	const struct dirent *entry;
	DIR *proc = opendir("/proc");
	int err = 0;

	if (!proc)
		return -errno;
	while (!err && (entry = readdir(proc))) {
		if (isdigit((unsigned char)*entry->d_name))
			err = add_process(rows, (pid_t)strtol(entry->d_name, NULL, 10), rundir);
	}
	closedir(proc);
	return err;
}

static const char *outdated_text(const json_t *outdated)
{
	if (!json_is_boolean(outdated))
		return "-";
	return json_is_true(outdated) ? "yes" : "no";
}

static int print_rows(const json_t *rows)
{
	static const char *const headings[] = { "PID", "NAME", "VERSION", "OUTDATED", "BINARY", "NOTE" };
	struct columns c = { .count = sizeof(headings) / sizeof(headings[0]) };
	const json_t *row;
	size_t i;
	int err;

	columns_row(&c, headings);
	json_array_foreach(rows, i, row) {
		columns_addf(&c, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(row, "pid")));
		columns_add(&c, jget_text(row, "name"));
		columns_add(&c, jget_text(row, "version"));
		columns_add(&c, outdated_text(json_object_get(row, "outdated")));
		columns_add(&c, jget_text(row, "binary"));
		columns_add(&c, jget_text_or(row, "note", ""));
	}
	err = columns_print(&c, stdout);
	columns_free(&c);
	return err;
}

/**
 * cmd_list() - cprctl list
 * @opts: the command line
 *
 * Return: CTL_OK, also where there is no VM; CTL_NO.
 */
int cmd_list(const struct options *opts)
{
	json_t *rows = json_array();
	int err = rows ? scan(rows, opts->rundir) : -ENOMEM;

	if (!err)
		err = (opts->seen & OPT_JSON) ? jget_print(rows) : print_rows(rows);
	if (err)
		text_error("cannot list the VMs: %s", strerror(-err));
	json_decref(rows);
	return err ? CTL_NO : CTL_OK;
}
