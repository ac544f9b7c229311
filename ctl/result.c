/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* result.c - an update's result, for people. Any member may be missing or of another type than the protocol says. */
#include "result.h"

#include <string.h>
#include <time.h>

#include "jget.h"
#include "text.h"

/**
 * result_updated() - does the guest run on the new binary?
 * @result: a result
 */
bool result_updated(const json_t *result)
{
	return json_is_true(json_object_get(result, "ok")) && !strcmp(jget_text(result, "outcome"), "updated");
}

/**
 * result_print_list() - print a list of sentences, one a line
 * @out:    where to
 * @indent: what stands before each, trusted
 * @list:   the list, or anything else
 */
void result_print_list(FILE *out, const char *indent, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		if (!json_is_string(item))
			continue;
		fputs(indent, out);
		text_print(out, json_string_value(item));
		fputc('\n', out);
	}
}

/**
 * result_time() - when an update began
 * @result:  a result
 * @ret_buf: local time, or "-"
 * @size:    bytes there
 */
void result_time(const json_t *result, char *ret_buf, size_t size)
{
	double seconds = json_number_value(json_object_get(result, "time"));
	struct tm tm;
	time_t t;

	snprintf(ret_buf, size, "-");
	/* the year 9999; a double beyond time_t would be undefined to convert */
	if (!(seconds > 0 && seconds < 253402300800.0))
		return;
	t = (time_t)seconds;
	if (localtime_r(&t, &tm) && !strftime(ret_buf, size, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(ret_buf, size, "-");
}

/**
 * result_blackout() - how long the guest stood still
 * @result:  a result
 * @ret_buf: milliseconds, with relay both; "-" where the guest was never stopped
 * @size:    bytes there
 */
void result_blackout(const json_t *result, char *ret_buf, size_t size)
{
	const json_t *ms = json_object_get(result, "blackout_ms");

	if (json_is_number(ms))
		snprintf(ret_buf, size, "%.1f", json_number_value(ms));
	else if (json_is_number(json_array_get(ms, 0)) && json_is_number(json_array_get(ms, 1)))
		snprintf(ret_buf, size, "%.1f and %.1f", json_number_value(json_array_get(ms, 0)),
			 json_number_value(json_array_get(ms, 1)));
	else
		snprintf(ret_buf, size, "-");
}

/**
 * result_print_blockers() - print what stands against an update
 * @out:      where to
 * @blockers: list of objects, or anything else
 */
void result_print_blockers(FILE *out, const json_t *blockers)
{
	static const struct {
		const char *member, *before;
	} parts[] = { { "code", "  " }, { "what", ": " }, { "why", "\n    why: " }, { "do", "\n    do:  " } };
	const json_t *item;
	size_t i;

	json_array_foreach(blockers, i, item) {
		if (!json_is_object(item))
			continue;
		for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
			fputs(parts[part].before, out);
			text_print(out, jget_text(item, parts[part].member));
		}
		fputc('\n', out);
	}
}

static void print_version(FILE *out, const char *word, const json_t *version)
{
	fprintf(out, " %s ", word);
	text_print(out, jget_text(version, "version"));
	fputs(" (", out);
	text_print(out, jget_text(version, "binary"));
	fputc(')', out);
}

static void print_phases(FILE *out, const json_t *phases)
{
	const char *separator = ": ";
	const char *name;
	json_t *ms;

	json_object_foreach((json_t *)phases, name, ms) {
		if (!json_is_number(ms))
			continue;
		fputs(separator, out);
		text_print(out, name);
		fprintf(out, " %.1f", json_number_value(ms));
		separator = ", ";
	}
	fputc('\n', out);
}

/* A relay has two. */
static void print_blackout(FILE *out, const json_t *result)
{
	const json_t *list = json_object_get(result, "blackouts_ms"), *phases = json_object_get(result, "phases");
	char total[64];

	result_blackout(result, total, sizeof(total));
	if (!strcmp(total, "-"))
		return;
	if (!json_array_size(list)) {
		fprintf(out, "  blackout %s ms", total);
		print_phases(out, phases);
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		fprintf(out, "  blackout %zu: %.1f ms", i + 1, json_number_value(json_array_get(list, i)));
		print_phases(out, json_array_get(phases, i));
	}
}

static void print_closed(FILE *out, const json_t *closed)
{
	const json_t *item;
	size_t i;

	json_array_foreach(closed, i, item) {
		fprintf(out, "  closed: descriptor %" JSON_INTEGER_FORMAT ", ",
			json_integer_value(json_object_get(item, "fd")));
		text_print(out, jget_text(item, "detail"));
		fputc('\n', out);
	}
}

/**
 * result_print() - print all of a result
 * @out:    where to
 * @result: the result
 */
void result_print(FILE *out, const json_t *result)
{
	const char *outcome = jget_text_or(result, "outcome", "failed");
	const json_t *duration = json_object_get(result, "duration_ms");

	text_print(out, outcome);
	if (json_object_get(result, "from"))
		print_version(out, "from", json_object_get(result, "from"));
	if (json_object_get(result, "to"))
		print_version(out, "to", json_object_get(result, "to"));
	if (json_is_string(json_object_get(result, "method"))) {
		fputs(" by ", out);
		text_print(out, jget_text(result, "method"));
	}
	if (json_is_number(duration))
		fprintf(out, " in %.0f ms", json_number_value(duration));
	fputc('\n', out);
	if (*jget_text_or(result, "method_reason", "")) {
		fprintf(out, "  %s: ", jget_text(result, "method"));
		text_print(out, jget_text(result, "method_reason"));
		fputc('\n', out);
	}
	if (!strcmp(outcome, "refused"))
		fputs("  the guest was not touched\n", out);
	else if (!strcmp(outcome, "ended"))
		fputs("  the VM is not there any more\n", out);
	else if (!result_updated(result))
		fputs("  the guest runs on, on the old binary\n", out);
	if (json_is_integer(json_object_get(result, "pid")))
		fprintf(out, "  %s: it is process %" JSON_INTEGER_FORMAT " now\n",
			result_updated(result) ? "the guest is in another process" : "its process was lost",
			json_integer_value(json_object_get(result, "pid")));
	print_blackout(out, result);
	result_print_list(out, "  reason: ", json_object_get(result, "reasons"));
	result_print_list(out, "  warning: ", json_object_get(result, "warnings"));
	print_closed(out, json_object_get(result, "closed"));
}
