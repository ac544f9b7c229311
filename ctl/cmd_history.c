/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_history.c - cprctl history: a VM's past updates. */
#include <jansson.h>
#include <stdio.h>

#include "client.h"
#include "columns.h"
#include "ctl.h"
#include "jget.h"
#include "result.h"
#include "text.h"
#include "vm.h"

static int print_history(const json_t *updates)
{
	static const char *const headings[] = { "TIME", "METHOD", "FROM", "TO", "BLACKOUT/MS", "OUTCOME", "REASON" };
	struct columns c = { .count = sizeof(headings) / sizeof(headings[0]) };
	const json_t *one;
	size_t i;
	int err;

	if (!json_array_size(updates)) {
		puts("no updates yet");
		return 0;
	}
	columns_row(&c, headings);
	json_array_foreach(updates, i, one) {
		const char *reason = json_string_value(json_array_get(json_object_get(one, "reasons"), 0));
		char text[64];

		result_time(one, text, sizeof(text));
		columns_add(&c, text);
		columns_add(&c, jget_text(one, "method"));
		columns_add(&c, jget_text(json_object_get(one, "from"), "version"));
		columns_add(&c, jget_text(json_object_get(one, "to"), "version"));
		result_blackout(one, text, sizeof(text));
		columns_add(&c, text);
		columns_add(&c, jget_text(one, "outcome"));
		columns_color(&c, result_updated(one) ? TEXT_GOOD : TEXT_BAD);
		columns_add(&c, reason ? reason : "");
	}
	err = columns_print(&c, stdout);
	columns_free(&c);
	return err;
}

/**
 * cmd_history() - cprctl history
 * @opts: the command line
 *
 * Return: CTL_OK or CTL_NO.
 */
int cmd_history(const struct options *opts)
{
	const json_t *data;
	json_t *answer;
	struct vm vm;
	int err;

	if (vm_open(opts->pid, &vm))
		return CTL_NO;
	err = client_query(&vm, opts->rundir, "history", &answer);
	vm_close(&vm);
	if (err) {
		text_error("no history of VM %d: %s", opts->pid, client_strerror(err));
		return CTL_NO;
	}
	data = json_object_get(answer, "data");
	if (!json_is_array(data)) {
		text_error("no history of VM %d: it sent none", opts->pid);
		result_print_list(stderr, "  ", json_object_get(answer, "reasons"));
		err = -1;
	} else {
		err = (opts->seen & OPT_JSON) ? jget_print(data) : print_history(data);
	}
	json_decref(answer);
	return err ? CTL_NO : CTL_OK;
}
