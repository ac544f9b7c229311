/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit_print.c - what an audit found (audit_json.c), for people. */
#include "audit_print.h"

#include <string.h>

#include "columns.h"
#include "jget.h"
#include "text.h"

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static json_int_t count_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* --- files */

static void add_file_row(struct columns *c, const json_t *file)
{
	static const char *const keys[] = { "hooked", "harmless", "transient", "patchable", "unknown" };
	const json_t *verdicts = json_object_get(file, "verdicts");

	columns_add(c, last_part(jget_text(file, "path")));
	columns_add(c, jget_text(file, "role"));
	columns_addf(c, "%" JSON_INTEGER_FORMAT, count_of(file, "calls"));
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		columns_addf(c, "%" JSON_INTEGER_FORMAT, count_of(verdicts, keys[i]));
}

static int print_files(FILE *out, const json_t *files)
{
	static const char *const headings[] = { "FILE",	     "ROLE",	  "CALLS",   "HOOKED", "HARMLESS",
						"TRANSIENT", "PATCHABLE", "UNKNOWN", NULL };
	struct columns c = { .count = 8 };
	json_int_t calls = 0;
	size_t i, looked_at = 0;
	json_t *file;
	int err;

	columns_row(&c, headings);
	json_array_foreach(files, i, file) {
		looked_at += json_object_get(file, "verdicts") != NULL;
		calls += count_of(file, "calls");
		if (count_of(file, "calls") > 0)
			add_file_row(&c, file);
	}
	fprintf(out, "raw system calls: %" JSON_INTEGER_FORMAT " in %zu files\n", calls, looked_at);
	err = calls ? columns_print(&c, out) : 0;
	columns_free(&c);
	return err;
}

static void print_not_looked_at(FILE *out, const json_t *answer)
{
	const char *none = jget_text_or(answer, "no_disassembler", NULL);
	json_t *file;
	size_t i;

	if (none)
		fprintf(out, "raw system calls: not looked for: %s\n", none);
	json_array_foreach(json_object_get(answer, "files"), i, file) {
		const char *why = jget_text_or(file, "not_looked_at", NULL);

		if (!why || (none && !strcmp(why, none)))
			continue;
		fputs("not looked at: ", out);
		text_print(out, jget_text(file, "path"));
		fprintf(out, ": %s\n", why);
	}
	json_array_foreach(json_object_get(answer, "missing"), i, file) {
		fputs("not found: ", out);
		text_print(out, jget_text(file, "name"));
		fputs(", needed by ", out);
		text_print(out, jget_text(file, "by"));
		fputc('\n', out);
	}
}

/* --- calls */

static void print_calls(FILE *out, const json_t *site)
{
	const json_t *calls = json_object_get(site, "calls");
	json_t *call;
	size_t i;

	json_array_foreach(calls, i, call) {
		const json_t *number = json_array_get(json_object_get(site, "numbers"), i);

		fputs(i ? ", " : " ", out);
		if (json_is_string(call))
			fputs(json_string_value(call), out);
		else
			fprintf(out, "number %" JSON_INTEGER_FORMAT, json_integer_value(number));
	}
}

static void print_site(FILE *out, const json_t *site)
{
	const char *symbol = jget_text_or(site, "symbol", NULL), *why = jget_text_or(site, "why", NULL);

	fprintf(out, "  %-10s ", jget_text(site, "verdict"));
	text_print(out, last_part(jget_text(site, "file")));
	fprintf(out, " %s", jget_text(site, "offset"));
	if (symbol) {
		fputc(' ', out);
		text_print(out, symbol);
		fprintf(out, "+%#llx", (unsigned long long)count_of(site, "symbol_offset"));
	}
	fprintf(out, ", %s:", jget_text(site, "instruction"));
	print_calls(out, site);
	if (why)
		fprintf(out, "%s %s", json_array_size(json_object_get(site, "calls")) ? ";" : "", why);
	fputc('\n', out);
}

static void print_sites(FILE *out, const json_t *sites, bool all)
{
	json_t *site;
	size_t i;

	json_array_foreach(sites, i, site) {
		if (all || !strcmp(jget_text(site, "verdict"), "unknown"))
			print_site(out, site);
	}
}

/* --- imports */

static void print_unknown(FILE *out, const json_t *names)
{
	json_t *name;
	size_t i;

	json_array_foreach(names, i, name) {
		fputs("  ", out);
		text_print(out, jget_text(name, "name"));
		fputs(", imported by ", out);
		text_print(out, json_string_value(json_array_get(json_object_get(name, "by"), 0)));
		fputs(": nobody has looked whether it needs a hook\n", out);
	}
}

static void print_reasons(FILE *out, const json_t *names)
{
	json_t *name;
	size_t i;

	json_array_foreach(names, i, name)
		fprintf(out, "  %s: %s\n", jget_text(name, "name"), jget_text(name, "reason"));
}

static void print_imports(FILE *out, const json_t *imports, bool all)
{
	const json_t *without = json_object_get(imports, "without_hook"),
		     *unknown = json_object_get(imports, "unknown");

	fprintf(out,
		"imported functions of libc: %zu hooked; %zu touch descriptors, mappings or the like and need no hook%s; "
		"%zu have nothing to do with them; %zu unknown\n",
		json_array_size(json_object_get(imports, "hooked")), json_array_size(without),
		all ? "" : " (--all tells why)", json_array_size(json_object_get(imports, "unrelated")),
		json_array_size(unknown));
	print_unknown(out, unknown);
	if (all)
		print_reasons(out, without);
}

/**
 * audit_print() - print what an audit found
 * @out:    where to
 * @answer: audit_json()'s
 * @all:    each call, not only those of which nothing is known, and reasons
 *
 * Return: 0 or -ENOMEM.
 */
int audit_print(FILE *out, const json_t *answer, bool all)
{
	int err = 0;

	if (json_is_string(json_object_get(answer, "disassembler")))
		err = print_files(out, json_object_get(answer, "files"));
	print_sites(out, json_object_get(answer, "sites"), all);
	print_not_looked_at(out, answer);
	if (count_of(answer, "generated_code"))
		fprintf(out,
			"code that the process has made itself, not looked at: %" JSON_INTEGER_FORMAT " mappings\n",
			count_of(answer, "generated_code"));
	print_imports(out, json_object_get(answer, "imports"), all);
	return err;
}
