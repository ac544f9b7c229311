/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit_json.c - what an audit finds, as JSON; cprctl(1) says what the members mean. */
#include "audit_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../audit/decoder.h"
#include "../audit/imports.h"
#include "../audit/sites.h"
#include "../audit/syscalls.h"
#include "jget.h"

/* Addresses are read by people, and compared with what objdump prints. */
static json_t *address(uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	return json_string(text);
}

static const char *machine_text(uint16_t machine)
{
	switch (machine) {
	case EM_X86_64:
		return "x86-64";
	case EM_AARCH64:
		return "aarch64";
	default:
		return "other";
	}
}

/* --- calls */

static int add_numbers(json_t *row, const struct site *site)
{
	/* a 32-bit call's number means another one */
	bool named = site->kind == SITE_SYSCALL || site->kind == SITE_VSYSCALL;
	const struct code_values *numbers = &site->numbers;
	json_t *values = json_array(), *names = json_array();
	int err = 0;

	for (size_t i = 0; i < numbers->count; i++) {
		const char *name = named ? syscalls_name(numbers->values[i]) : NULL;

		err |= json_array_append_new(values, json_integer((json_int_t)numbers->values[i]));
		err |= json_array_append_new(names, name ? json_string(name) : json_null());
	}
	err |= json_object_set_new(row, "numbers", values);
	return err | json_object_set_new(row, "calls", names);
}

static int add_site(json_t *sites, const char *path, const struct site *site)
{
	json_t *row = json_pack("{s:o, s:o, s:s, s:s, s:s*, s:s*}", "file", jget_new_text(path), "offset",
				address(site->address), "instruction", sites_kind_text(site->kind), "verdict",
				sites_verdict_text(site->verdict), "hook", site->hook, "why", site->why);
	int err = add_numbers(row, site);

	err |= json_object_set_new(row, "symbol", jget_new_text(site->symbol));
	if (site->symbol)
		err |= json_object_set_new(row, "symbol_offset", json_integer((json_int_t)site->symbol_offset));
	if (site->patch_size)
		err |= json_object_set_new(row, "patch",
					   json_pack("{s:o, s:I}", "offset", address(site->patch_address), "bytes",
						     (json_int_t)site->patch_size));
	return err | json_array_append_new(sites, row);
}

static int add_verdicts(json_t *row, const struct sites *sites)
{
	json_int_t counts[SITE_VERDICTS] = { 0 };
	json_t *verdicts = json_object();
	int err = 0;

	for (size_t i = 0; i < sites->count; i++)
		counts[sites->items[i].verdict]++;
	for (int i = 0; i < SITE_VERDICTS; i++)
		err |= json_object_set_new(verdicts, sites_verdict_text(i), json_integer(counts[i]));
	err |= json_object_set_new(row, "verdicts", verdicts);
	err |= json_object_set_new(row, "data", json_integer((json_int_t)sites->data));
	return err | json_object_set_new(row, "calls", json_integer((json_int_t)sites->count));
}

/* Return: why calls are not looked for in a file, NULL where they are. */
static const char *no_calls(const struct object *object, const struct disasm_api *api, const char *no_api)
{
	if (object->why)
		return object->why;
	if (!decoder_knows(object->elf.machine))
		return "raw system calls are not available for this processor";
	return api ? NULL : no_api;
}

static int add_file(json_t *files, json_t *all, const struct object *object, const struct disasm_api *api,
		    const char *no_api)
{
	const char *why = no_calls(object, api, no_api);
	json_t *row = json_pack("{s:o, s:s, s:s*}", "path", jget_new_text(object->path), "role",
				objects_role_text(object->role), "not_looked_at", why);
	struct sites sites = { 0 };
	int err = 0;

	if (!object->why)
		err |= json_object_set_new(row, "machine", json_string(machine_text(object->elf.machine)));
	if (!why) {
		err |= sites_find(&object->elf, api, object->role == OBJECT_LOADER, &sites);
		err |= add_verdicts(row, &sites);
		for (size_t i = 0; i < sites.count; i++)
			err |= add_site(all, object->path, &sites.items[i]);
		sites_free(&sites);
	}
	return err | json_array_append_new(files, row);
}

static int add_files(json_t *answer, const struct objects *objects, const struct disasm_api *api, const char *no_api)
{
	json_t *files = json_array(), *sites = json_array();
	int err = 0;

	for (size_t i = 0; i < objects->count; i++)
		err |= add_file(files, sites, &objects->items[i], api, no_api);
	err |= json_object_set_new(answer, "files", files);
	return err | json_object_set_new(answer, "sites", sites);
}

/* --- imports */

/* The files that import a name stand together. Return: how many. */
static size_t importers(const struct imports *imports, size_t first, const struct objects *objects, json_t *ret_by)
{
	size_t n = 0;

	while (first + n < imports->count && !strcmp(imports->items[first + n].name, imports->items[first].name)) {
		json_array_append_new(ret_by, jget_new_text(objects->items[imports->items[first + n].file].path));
		n++;
	}
	return n;
}

static int add_names(json_t *answer, const struct imports *imports, const struct objects *objects)
{
	static const char *const keys[] = { "hooked", "without_hook", "unrelated", "unknown" };
	json_t *lists[4], *all = json_object();
	int err = 0;

	for (int i = 0; i < 4; i++) {
		lists[i] = json_array();
		err |= json_object_set_new(all, keys[i], lists[i]);
	}
	for (size_t i = 0; !err && i < imports->count;) {
		const struct import *import = &imports->items[i];
		json_t *by = json_array();

		i += importers(imports, i, objects, by);
		err |= json_array_append_new(lists[import->kind],
					     json_pack("{s:o, s:s*, s:o}", "name", jget_new_text(import->name),
						       "reason", import->reason, "by", by));
	}
	return err | json_object_set_new(answer, "imports", all);
}

static int add_imports(json_t *answer, const struct objects *objects)
{
	struct imports imports = { 0 };
	int err;

	for (size_t i = 0; i < objects->count; i++) {
		/* what our own library imports is what its hooks call */
		if (!objects->items[i].why && objects->items[i].role != OBJECT_SHIM)
			imports_add(&imports, &objects->items[i].elf, i);
	}
	imports_sort(&imports);
	err = imports.error ? imports.error : add_names(answer, &imports, objects);
	imports_free(&imports);
	return err;
}

static int add_missing(json_t *answer, const struct objects *objects)
{
	json_t *missing = json_array();
	int err = 0;

	for (size_t i = 0; i < objects->missing_count; i++)
		err |= json_array_append_new(
			missing, json_pack("{s:o, s:o}", "name", jget_new_text(objects->missing[i].name), "by",
					   jget_new_text(objects->items[objects->missing[i].by].path)));
	return err | json_object_set_new(answer, "missing", missing);
}

/**
 * audit_json() - look at files, and say what was found
 * @objects: the files
 * @api:     the disassembler, open, or NULL
 * @no_api:  why there is none
 *
 * Return: the answer, NULL where memory is short.
 */
json_t *audit_json(const struct objects *objects, const struct disasm_api *api, const char *no_api)
{
	json_t *answer = json_pack("{s:s?, s:s*}", "disassembler", api ? api->name : NULL, "no_disassembler",
				   api ? NULL : no_api);

	if (answer && !add_files(answer, objects, api, no_api) && !add_missing(answer, objects) &&
	    !add_imports(answer, objects))
		return answer;
	json_decref(answer);
	return NULL;
}
