/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_metrics.c - cprctl metrics: what monitoring wants to know, in Prometheus' text format.
 *
 * Nobody but the VMs keeps figures: they come from the histories of those that run. So a sum over VMs becomes less when one
 * ends, and is a gauge. What a VM says is bounded: outcomes and methods are those that are known.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "ctl.h"
#include "fleet.h"
#include "jget.h"
#include "text.h"

static const char *const outcomes[] = { "updated", "refused", "failed" };
static const char *const methods[] = { "exec", "relay", "transfer" };
static const double bounds[] = { 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/**
 * struct blackouts - a histogram
 * @in:	   how many were no longer than each of the bounds
 * @count: of all
 * @sum:   of all, in seconds
 */
struct blackouts {
	unsigned long in[COUNT(bounds)];
	unsigned long count;
	double sum;
};

/**
 * struct metrics - what is gathered
 * @rundir:  where the sockets are, or NULL
 * @silent:  VMs that do not answer
 * @standing: guests that stand still after an update that failed
 * @outdated: VMs
 * @vms:     all VMs
 * @ended:   updates by outcome
 * @blackouts: by method
 * @info, @is_outdated, @updates: lines, one for each VM
 */
struct metrics {
	const char *rundir;
	unsigned long silent, standing, outdated, vms;
	unsigned long ended[COUNT(outcomes)];
	struct blackouts blackouts[COUNT(methods)];
	FILE *info, *is_outdated, *updates;
};

/* Return: which of @names it is, @count where none. */
static size_t index_of(const char *text, const char *const *names, size_t count)
{
	size_t i = 0;

	while (i < count && strcmp(text, names[i]) != 0)
		i++;
	return i;
}

static void add_blackout(struct blackouts *b, const json_t *ms)
{
	double seconds = json_number_value(ms) / 1000;

	if (!json_is_number(ms) || !(seconds >= 0))
		return;
	for (size_t i = 0; i < COUNT(bounds); i++)
		b->in[i] += seconds <= bounds[i];
	b->count++;
	b->sum += seconds;
}

/* A relay has two blackouts; so long did the guest of an update that failed stand still, too. */
static void add_update(struct metrics *m, const json_t *update)
{
	size_t outcome = index_of(jget_text(update, "outcome"), outcomes, COUNT(outcomes));
	size_t method = index_of(jget_text(update, "method"), methods, COUNT(methods));
	const json_t *list = json_object_get(update, "blackouts_ms");

	if (outcome < COUNT(outcomes))
		m->ended[outcome]++;
	if (method == COUNT(methods))
		return;
	if (!json_array_size(list))
		add_blackout(&m->blackouts[method], json_object_get(update, "blackout_ms"));
	for (size_t i = 0; i < json_array_size(list); i++)
		add_blackout(&m->blackouts[method], json_array_get(list, i));
}

/* A label's value: UTF-8, where backslash, quote and line end are escaped. */
static void print_label(FILE *out, const char *name, const char *value)
{
	char *escaped = text_escaped(value, strlen(value));

	fprintf(out, "%s=\"", name);
	for (const char *at = escaped; at && *at; at++) {
		if (*at == '"' || *at == '\\')
			fputc('\\', out);
		fputc(*at, out);
	}
	fputc('"', out);
	free(escaped);
}

static void begin_sample(FILE *out, const char *metric, const json_t *row)
{
	fprintf(out, "%s{pid=\"%" JSON_INTEGER_FORMAT "\",", metric, json_integer_value(json_object_get(row, "pid")));
	print_label(out, "name", jget_text_or(row, "name", ""));
}

static void add_row(struct metrics *m, const json_t *row, const json_t *answer)
{
	const json_t *outdated = json_object_get(row, "outdated");
	const json_t *generation = json_object_get(json_object_get(answer, "data"), "generation");

	begin_sample(m->info, "cprshim_vm_info", row);
	fputc(',', m->info);
	print_label(m->info, "version", jget_text_or(row, "version", ""));
	fputc(',', m->info);
	print_label(m->info, "package", jget_text_or(row, "package", ""));
	fputs("} 1\n", m->info);
	if (json_is_boolean(outdated)) {
		begin_sample(m->is_outdated, "cprshim_vm_outdated", row);
		fprintf(m->is_outdated, "} %d\n", json_is_true(outdated));
		m->outdated += json_is_true(outdated);
	}
	if (json_is_integer(generation)) {
		begin_sample(m->updates, "cprshim_vm_updates_total", row);
		fprintf(m->updates, "} %" JSON_INTEGER_FORMAT "\n", json_integer_value(generation));
	}
}

static int take(const struct fleet_vm *one, void *opaque)
{
	struct metrics *m = opaque;
	json_t *answer = NULL;
	const json_t *update;
	size_t i;

	if (one->elsewhere)
		return 0;
	if (!one->vm) {
		m->standing++;
		return 0;
	}
	m->vms++;
	add_row(m, one->row, one->answer);
	if (!one->answer || client_query(one->vm, m->rundir, "history", &answer)) {
		m->silent++;
		return 0;
	}
	json_array_foreach(json_object_get(answer, "data"), i, update)
		add_update(m, update);
	json_decref(answer);
	return 0;
}

static void print_head(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_one(const char *name, const char *help, unsigned long value)
{
	print_head(name, "gauge", help);
	printf("%s %lu\n", name, value);
}

static void print_blackouts(const struct blackouts *b, const char *method)
{
	static const char name[] = "cprshim_blackout_seconds";

	for (size_t i = 0; i < COUNT(bounds); i++)
		printf("%s_bucket{method=\"%s\",le=\"%g\"} %lu\n", name, method, bounds[i], b->in[i]);
	printf("%s_bucket{method=\"%s\",le=\"+Inf\"} %lu\n", name, method, b->count);
	printf("%s_sum{method=\"%s\"} %.6f\n", name, method, b->sum);
	printf("%s_count{method=\"%s\"} %lu\n", name, method, b->count);
}

static void print_sums(const struct metrics *m)
{
	print_one("cprshim_vms", "VMs under the shim.", m->vms);
	print_one("cprshim_vms_outdated", "VMs that an update would bring another QEMU or other libraries.",
		  m->outdated);
	print_one("cprshim_vms_silent", "VMs that do not answer.", m->silent);
	print_one("cprshim_guests_standing_still", "Guests that stand still after an update that failed.", m->standing);
	print_head("cprshim_updates", "gauge", "Updates by outcome, of the last 32 of each VM that runs.");
	for (size_t i = 0; i < COUNT(outcomes); i++)
		printf("cprshim_updates{outcome=\"%s\"} %lu\n", outcomes[i], m->ended[i]);
	print_head("cprshim_blackout_seconds", "histogram", "How long guests stood still in these updates, by method.");
	for (size_t i = 0; i < COUNT(methods); i++)
		print_blackouts(&m->blackouts[i], methods[i]);
}

/**
 * cmd_metrics() - cprctl metrics
 * @opts: the command line
 *
 * Nothing is printed before all VMs were asked.
 *
 * Return: CTL_OK or CTL_NO.
 */
int cmd_metrics(const struct options *opts)
{
	struct metrics m = { .rundir = opts->rundir };
	struct {
		const char *name, *type, *help;
		FILE **out;
		char *text;
		size_t size;
	} lines[] = {
		{ "cprshim_vm_info", "gauge", "Version of the QEMU that a VM runs.", &m.info, NULL, 0 },
		{ "cprshim_vm_outdated", "gauge", "Would an update bring a VM another QEMU or other libraries?",
		  &m.is_outdated, NULL, 0 },
		{ "cprshim_vm_updates_total", "counter", "Updates that a VM has been through.", &m.updates, NULL, 0 },
	};
	int err = 0;

	for (size_t i = 0; i < COUNT(lines); i++) {
		*lines[i].out = open_memstream(&lines[i].text, &lines[i].size);
		err = err || !*lines[i].out ? -ENOMEM : 0;
	}
	if (!err)
		err = fleet_scan(opts->rundir, take, &m);
	for (size_t i = 0; i < COUNT(lines); i++) {
		if (*lines[i].out && fclose(*lines[i].out))
			err = -ENOMEM;
	}
	if (err)
		text_error("cannot look at the VMs: %s", strerror(-err));
	else
		print_sums(&m);
	for (size_t i = 0; i < COUNT(lines); i++) {
		if (!err) {
			print_head(lines[i].name, lines[i].type, lines[i].help);
			fputs(lines[i].text, stdout);
		}
		free(lines[i].text);
	}
	return err ? CTL_NO : CTL_OK;
}
