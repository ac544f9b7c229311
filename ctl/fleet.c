/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fleet.c - every VM under the shim that the caller may see.
 *
 * There is no list that could be out of date: /proc is gone through, and each VM is asked.
 */
#include "fleet.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../state/elffile.h"
#include "client.h"
#include "jget.h"
#include "outdated.h"
#include "rundir.h"
#include "standing.h"
#include "vm.h"

static int set_text(json_t *row, const char *key, const char *text)
{
	return json_object_set_new(row, key, jget_new_text(text));
}

/* Which file runs is the kernel's to say, not the VMM's. Return: was it deleted? */
static bool find_program(const struct vm *vm, const json_t *data, char ret[PATH_MAX], bool *ret_by_loader)
{
	bool deleted;

	if (proc_exe(vm->pid, ret))
		ret[0] = '\0';
	deleted = outdated_cut(ret);
	/* but of a QEMU that was given to a dynamic loader the kernel shows the loader */
	*ret_by_loader = elffile_is_loader(ret) && jget_text_or(data, "binary", NULL);
	if (*ret_by_loader)
		snprintf(ret, PATH_MAX, "%s", jget_text(data, "binary"));
	return deleted;
}

/*
 * Would an update bring another program, or other libraries? What a script leads to only an update can tell. "available" and
 * "changed" are what it would bring, where there is anything.
 */
static int judge(json_t *row, const struct vm *vm, const json_t *data, const char *program, bool deleted,
		 bool by_loader)
{
	const json_t *said = json_object_get(data, "outdated");
	json_t *files = outdated_files(vm, by_loader ? program : ""), *found = NULL;
	bool other = deleted || json_is_true(said), known = deleted || json_is_boolean(said), same;
	const char *path = jget_text_or(data, "replacement", deleted ? program : "");

	if (!files)
		return -ENOMEM;
	if (other && path[0] == '/') {
		found = outdated_program(vm, path, &same);
		if (!found) {
			json_decref(files);
			return -ENOMEM;
		}
		other = !same;
	}
	known |= json_array_size(files) > 0;
	other |= json_array_size(files) > 0;
	if (!other) {
		json_decref(found);
		found = NULL;
	}
	return json_object_set_new(row, "available", found ? found : json_null()) |
	       json_object_set_new(row, "changed", files) |
	       json_object_set_new(row, "outdated", known ? json_boolean(other) : json_null());
}

/* One VM's row. Return: NULL where memory is short. */
static json_t *describe(const struct vm *vm, const json_t *answer, const char *note)
{
	const json_t *data = json_object_get(answer, "data");
	json_t *row = json_pack("{s:i}", "pid", (int)vm->pid);
	char program[PATH_MAX];
	bool by_loader, deleted = find_program(vm, data, program, &by_loader);
	int err = judge(row, vm, data, program, deleted, by_loader);

	err |= set_text(row, "binary", *program ? program : NULL);
	err |= set_text(row, "name", jget_text_or(data, "name", NULL));
	err |= set_text(row, "version", jget_text_or(data, "version", NULL));
	err |= set_text(row, "package", jget_text_or(data, "package", NULL));
	err |= set_text(row, "note", note);
	if (!err)
		return row;
	json_decref(row);
	return NULL;
}

struct scan {
	const char *rundir;
	fleet_visit visit;
	void *opaque;
};

static int tell(const struct scan *s, struct fleet_vm *one, const struct vm *vm, const char *note)
{
	int err = -ENOMEM;

	one->row = describe(vm, one->answer, note);
	if (one->row)
		err = s->visit(one, s->opaque);
	json_decref(one->row);
	return err;
}

/* A guardian has no VM, and so no socket, but may have a guest. */
static int tell_standing(const struct scan *s, const struct vm *vm)
{
	struct fleet_vm one = { .elsewhere = rundir_named(s->rundir) };
	char text[4096];

	return standing_read(vm->pid, &vm->id, text, sizeof(text)) ? 0 : tell(s, &one, vm, text);
}

static int tell_vm(const struct scan *s, const struct vm *vm)
{
	json_t *answer = NULL;
	int err = client_query(vm, s->rundir, "status", &answer);
	bool has_no_socket = err == -ENOENT || err == -EOPNOTSUPP;
	struct fleet_vm one = { .answer = answer, .vm = vm, .elsewhere = has_no_socket && rundir_named(s->rundir) };

	/* one that has ended meanwhile is left out */
	err = vm_gone(vm, 0) ? 0 : tell(s, &one, vm, err ? client_strerror(err) : NULL);
	json_decref(answer);
	return err;
}

/* Return: 0 also where the process is no VM; negative errno of the visit, or where memory is short. */
static int look_at(const struct scan *s, pid_t pid)
{
	struct vm vm;
	int err = vm_find(pid, &vm);

	if (err == -ENOENT)
		return tell_standing(s, &vm);
	/* a process that may not be looked into is none that the caller may see */
	if (err)
		return 0;
	if (!vm.table_err)
		err = tell_vm(s, &vm);
	vm_close(&vm);
	return err;
}

/**
 * fleet_scan() - look at every VM under the shim
 * @rundir: where their sockets are, NULL to look for them
 * @visit:  called for each; it returns 0, or a negative errno, which ends the scan
 * @opaque: for @visit
 *
 * A VM that does not answer holds it up for CLIENT_SOON_MS.
 *
 * Return: 0, or negative errno.
 */
int fleet_scan(const char *rundir, fleet_visit visit, void *opaque)
{
	const struct scan s = { rundir, visit, opaque };
	const struct dirent *entry;
	DIR *proc = opendir("/proc");
	int err = 0;

	if (!proc)
		return -errno;
	while (!err && (entry = readdir(proc))) {
		if (isdigit((unsigned char)*entry->d_name))
			err = look_at(&s, (pid_t)strtol(entry->d_name, NULL, 10));
	}
	closedir(proc);
	return err;
}

struct rows {
	json_t *list;
	bool outdated_only;
};

static int add_row(const struct fleet_vm *one, void *opaque)
{
	const struct rows *rows = opaque;

	if (rows->outdated_only && !json_is_true(json_object_get(one->row, "outdated")))
		return 0;
	return json_array_append(rows->list, one->row) ? -ENOMEM : 0;
}

/**
 * fleet_rows() - what cprctl list tells
 * @rundir:	   as for fleet_scan()
 * @outdated_only: leave out those that are not, or of which that is not known
 * @ret_rows:	   a list, in the order of /proc
 *
 * Return: 0, or negative errno.
 */
int fleet_rows(const char *rundir, bool outdated_only, json_t **ret_rows)
{
	struct rows rows = { json_array(), outdated_only };
	int err = rows.list ? fleet_scan(rundir, add_row, &rows) : -ENOMEM;

	if (err)
		json_decref(rows.list);
	else
		*ret_rows = rows.list;
	return err;
}
