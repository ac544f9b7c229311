/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * update_all.c - cprctl update --all: every VM that the caller may update, some at a time.
 *
 * Each update is its VM's own doing, and comes to its end, updated or undone, whatever becomes of us. So an interruption begins
 * no more and waits for those under way; a second one does not wait either. To repeat it does what is left: what was updated is
 * not outdated any more.
 */
#include "update.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fleet.h"
#include "jget.h"
#include "options.h"
#include "result.h"
#include "text.h"

/* In rows here only: struct proc_id's. */
#define STARTED "started"

enum end {
	END_UPDATED,
	END_REFUSED,
	END_FAILED, /* undone, or there is no outcome */
	END_LOST,
	END_ENDED,     /* the VM had shut down */
	END_NOT_KNOWN, /* whether it is outdated */
	END_NOT_BEGUN,
	ENDS
};

/* As they are printed; in JSON too. */
static const char *const end_names[ENDS] = {
	[END_UPDATED] = "updated",     [END_REFUSED] = "refused", [END_FAILED] = "failed",
	[END_LOST] = "lost",	       [END_ENDED] = "ended",	  [END_NOT_KNOWN] = "not known to be outdated",
	[END_NOT_BEGUN] = "not begun",
};

/**
 * struct all - what is done, by all threads
 * @opts: the command line
 * @line: where a line for each VM goes, NULL for nowhere
 * @talks: print what is under way
 * @lock: for what follows, and for whole lines
 * @rows: the VMs, as cprctl list tells of them
 * @next: the first that was not begun
 * @stop: begin no more
 * @done: for --json: what became of each
 * @count: of each end
 */
struct all {
	const struct options *opts;
	FILE *line;
	bool talks;
	pthread_mutex_t lock;
	json_t *rows;
	size_t next;
	bool stop;
	json_t *done;
	size_t count[ENDS];
};

/**
 * struct one - a VM in hand
 * @all: what it belongs to
 * @row: what cprctl list tells of it
 */
struct one {
	struct all *all;
	const json_t *row;
};

static bool is_failure(enum end end)
{
	return end == END_REFUSED || end == END_FAILED || end == END_LOST;
}

static const int interruptions[] = { SIGINT, SIGTERM, SIGHUP };
static volatile sig_atomic_t interrupted;

/* The second one ends us, whichever it is. */
static void interrupt(int number)
{
	static const char text[] =
		"\ncprctl: interrupted: no more updates are begun; those under way come to their end, "
		"whether that is waited for or not\n";
	int saved = errno;

	(void)number;
	interrupted = 1;
	for (size_t i = 0; i < sizeof(interruptions) / sizeof(interruptions[0]); i++) {
		struct sigaction is;

		if (!sigaction(interruptions[i], NULL, &is) && is.sa_handler == interrupt)
			signal(interruptions[i], SIG_DFL);
	}
	/* where it cannot be said, it is done all the same */
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	errno = saved;
}

/* What is ignored stays so: whoever started us in the background wants that. */
static void catch_interruptions(void)
{
	struct sigaction action = { .sa_handler = interrupt, .sa_flags = SA_RESTART }, old;

	for (size_t i = 0; i < sizeof(interruptions) / sizeof(interruptions[0]); i++) {
		if (!sigaction(interruptions[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(interruptions[i], &action, NULL);
	}
}

static pid_t pid_of(const json_t *row)
{
	return (pid_t)json_integer_value(json_object_get(row, "pid"));
}

/* "[ 3/14] 4711 name: "; the lock is held. */
static void begin_line(const struct all *a, FILE *out, const json_t *row, size_t number)
{
	size_t total = json_array_size(a->rows);
	char text[24];

	fprintf(out, "[%*zu/%zu] %d ", snprintf(text, sizeof(text), "%zu", total), number, total, pid_of(row));
	text_print(out, jget_text(row, "name"));
	fputs(": ", out);
}

static void print_progress(const json_t *line, void *opaque)
{
	const struct one *one = opaque;

	pthread_mutex_lock(&one->all->lock);
	fprintf(stderr, "%d ", pid_of(one->row));
	text_print(stderr, jget_text(one->row, "name"));
	fputs(": ", stderr);
	text_print(stderr, jget_text(line, "stage"));
	fputs(": ", stderr);
	text_print(stderr, jget_text_or(line, "text", ""));
	fputc('\n', stderr);
	pthread_mutex_unlock(&one->all->lock);
}

static void print_updated(FILE *out, const json_t *result)
{
	char blackout[64];

	result_blackout(result, blackout, sizeof(blackout));
	fputs(" from ", out);
	text_print(out, jget_text(json_object_get(result, "from"), "version"));
	fputs(" to ", out);
	text_print(out, jget_text(json_object_get(result, "to"), "version"));
	fputs(" by ", out);
	text_print(out, jget_text(result, "method"));
	fprintf(out, ", blackout %s ms", blackout);
	if (json_is_integer(json_object_get(result, "pid")))
		fprintf(out, ", it is process %" JSON_INTEGER_FORMAT " now",
			json_integer_value(json_object_get(result, "pid")));
}

/* Why not, in one line: the first reason, and how many there are besides. */
static void print_why(FILE *out, const json_t *result, const char *text)
{
	const json_t *reasons = json_object_get(result, "reasons");
	const char *first = json_string_value(json_array_get(reasons, 0));

	if (*text || first) {
		fputs(": ", out);
		text_print(out, *text ? text : first);
	}
	if (!*text && json_array_size(reasons) > 1)
		fprintf(out, " (cprctl check tells %zu more)", json_array_size(reasons) - 1);
}

static enum text_color color_of(enum end end)
{
	return end == END_UPDATED ? TEXT_GOOD : is_failure(end) ? TEXT_BAD : TEXT_WARNING;
}

/* One VM is done with. The lock is held. */
static void finish(struct all *a, const json_t *row, enum end end, const char *text, const json_t *result)
{
	size_t number = 1;

	for (size_t i = 0; i < ENDS; i++)
		number += a->count[i];
	a->count[end]++;
	if (a->opts->seen & OPT_STOP && is_failure(end))
		a->stop = true;
	json_array_append_new(a->done, json_pack("{s:O, s:O, s:s, s:o, s:O?}", "pid", json_object_get(row, "pid"),
						 "name", json_object_get(row, "name"), "outcome", end_names[end],
						 "text", jget_new_text(*text ? text : NULL), "result", result));
	if (!a->line)
		return;
	begin_line(a, a->line, row, number);
	fprintf(a->line, "%s%s%s", text_color(a->line, color_of(end)), end_names[end], text_color(a->line, TEXT_PLAIN));
	if (end == END_UPDATED)
		print_updated(a->line, result);
	else
		print_why(a->line, result, text);
	fputc('\n', a->line);
	fflush(a->line);
}

static enum end end_of(const struct update_outcome *outcome)
{
	const char *said = jget_text(outcome->result, "outcome");

	if (outcome->code == CTL_OK)
		return END_UPDATED;
	if (outcome->code == CTL_LOST)
		return END_LOST;
	return !strcmp(said, "refused") ? END_REFUSED : !strcmp(said, "ended") ? END_ENDED : END_FAILED;
}

static void update_vm(struct all *a, const json_t *row, const struct vm *vm)
{
	struct one one = { a, row };
	struct update_outcome outcome = { .code = CTL_NO, .text = "out of memory" };
	json_t *request = update_request(a->opts);

	if (request)
		update_ask(vm, a->opts, request, a->talks ? print_progress : NULL, &one, &outcome);
	pthread_mutex_lock(&a->lock);
	finish(a, row, end_of(&outcome), outcome.text, outcome.result);
	pthread_mutex_unlock(&a->lock);
	json_decref(outcome.result);
	json_decref(request);
}

static void pass_over(struct all *a, const json_t *row, enum end end, const char *why)
{
	pthread_mutex_lock(&a->lock);
	finish(a, row, end, why, NULL);
	pthread_mutex_unlock(&a->lock);
}

/* Has the VM ended, and another got its number? */
static bool is_another(const struct vm *vm, const json_t *row)
{
	const json_t *started = json_object_get(row, STARTED);

	return started && json_integer_value(started) != (json_int_t)vm->id.started;
}

static void take(struct all *a, const json_t *row)
{
	const char *note = jget_text_or(row, "note", NULL);
	struct vm vm;
	int err = vm_find(pid_of(row), &vm);

	if (err == -ENOENT && note)
		/* a guardian, whose guest stands still */
		pass_over(a, row, END_FAILED, note);
	else if (err == -ENOENT || err == -ESRCH || (!err && is_another(&vm, row)))
		pass_over(a, row, END_ENDED, "");
	else if (err)
		pass_over(a, row, END_FAILED, strerror(-err));
	else if (a->opts->seen & OPT_OUTDATED && !json_is_true(json_object_get(row, "outdated")))
		pass_over(a, row, END_NOT_KNOWN, note ? note : "");
	else
		update_vm(a, row, &vm);
	if (!err)
		vm_close(&vm);
}

static const json_t *next_row(struct all *a)
{
	const json_t *row = NULL;

	pthread_mutex_lock(&a->lock);
	if (!interrupted && !a->stop)
		row = json_array_get(a->rows, a->next);
	a->next += row != NULL;
	pthread_mutex_unlock(&a->lock);
	return row;
}

static void *work(void *opaque)
{
	struct all *a = opaque;
	const json_t *row;

	while ((row = next_row(a)))
		take(a, row);
	return NULL;
}

/* This thread works too: where no other one can be had, it does all. */
static void work_in_parallel(struct all *a)
{
	size_t wanted = a->opts->parallel ? (size_t)a->opts->parallel : 1, started = 0;
	pthread_t thread[OPTIONS_PARALLEL_MAX];

	while (started + 1 < wanted && started + 1 < json_array_size(a->rows) &&
	       !pthread_create(&thread[started], NULL, work, a))
		started++;
	work(a);
	while (started)
		pthread_join(thread[--started], NULL);
	for (const json_t *row; (row = json_array_get(a->rows, a->next)); a->next++)
		finish(a, row, END_NOT_BEGUN, "", NULL);
}

/* What could not be looked at may be outdated, and a guest that stands still is to be told of in any case. */
static int collect(const struct fleet_vm *one, void *opaque)
{
	const struct all *a = opaque;

	if (one->elsewhere ||
	    (one->vm && a->opts->seen & OPT_OUTDATED && json_is_false(json_object_get(one->row, "outdated"))))
		return 0;
	if (one->vm && json_object_set_new(one->row, STARTED, json_integer((json_int_t)one->vm->id.started)))
		return -ENOMEM;
	return json_array_append(a->rows, one->row) ? -ENOMEM : 0;
}

static void print_summary(const struct all *a)
{
	const char *separator = ": ";
	size_t total = json_array_size(a->rows);

	printf("%zu VM%s", total, total == 1 ? "" : "s");
	for (size_t i = 0; i < ENDS; i++) {
		if (!a->count[i])
			continue;
		printf("%s%zu %s", separator, a->count[i], end_names[i]);
		separator = ", ";
	}
	putchar('\n');
}

static int print_json(const struct all *a)
{
	json_t *summary = json_object(), *answer;
	int err = 0;

	for (size_t i = 0; i < ENDS; i++)
		err |= json_object_set_new(summary, end_names[i], json_integer((json_int_t)a->count[i]));
	answer =
		err ? NULL
		    : json_pack("{s:O, s:O, s:b}", "vms", a->done, "summary", summary, "interrupted", interrupted != 0);
	err = answer ? jget_print(answer) : -ENOMEM;
	json_decref(answer);
	json_decref(summary);
	return err;
}

static int code_of(const struct all *a)
{
	if (a->count[END_LOST])
		return CTL_LOST;
	return a->count[END_REFUSED] || a->count[END_FAILED] || a->count[END_NOT_BEGUN] ? CTL_NO : CTL_OK;
}

/**
 * update_all() - cprctl update --all
 * @opts: the command line
 *
 * Return: CTL_OK where there is none left that should have been updated, CTL_NO, or CTL_LOST where a guest is lost.
 */
int update_all(const struct options *opts)
{
	bool json = opts->seen & OPT_JSON, talks = opts->seen & OPT_VERBOSE || isatty(STDERR_FILENO);
	struct all a = {
		.opts = opts,
		.talks = talks,
		.line = !json	? stdout
			: talks ? stderr
				: NULL,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.rows = json_array(),
		.done = json_array(),
	};
	int code, err = a.rows && a.done ? 0 : -ENOMEM;

	catch_interruptions();
	if (!err)
		err = fleet_scan(opts->rundir, collect, &a);
	if (err) {
		text_error("cannot look at the VMs, and none was updated: %s", strerror(-err));
		code = CTL_NO;
	} else {
		work_in_parallel(&a);
		if (json)
			err = print_json(&a);
		else
			print_summary(&a);
		code = code_of(&a);
		code = code || !err ? code : CTL_NO;
	}
	json_decref(a.rows);
	json_decref(a.done);
	return code;
}
