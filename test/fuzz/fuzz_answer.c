/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_answer.c - libFuzzer on what a VM that was taken over answers to cprctl, and on how that is shown; see run. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/client.h"
#include "ctl/proc.h"
#include "ctl/result.h"
#include "ctl/rundir.h"
#include "ctl/vmtable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t input_size;
static FILE *shown;

static void demand(int good)
{
	if (!good)
		abort();
}

int rundir_connect(const struct vm *vm, const char *rundir, int *ret_fd)
{
	int pair[2];

	(void)vm, (void)rundir;
	demand(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
	demand(send(pair[1], input, input_size, 0) == (ssize_t)input_size && !shutdown(pair[1], SHUT_WR));
	*ret_fd = pair[0];
	/* What is asked for is not read: it fits into the socket. */
	static int last = -1;
	if (last >= 0)
		close(last);
	last = pair[1];
	return 0;
}

/* Asked only where there is no socket. */
int vmtable_read(int fd, struct fdtable *ret_table)
{
	(void)fd, (void)ret_table;
	return -ENODATA;
}

int proc_find_program(const char *name, char **ret_path)
{
	(void)name, (void)ret_path;
	return -ENOENT;
}

static void note_progress(const json_t *line, void *opaque)
{
	(void)opaque;
	demand(json_is_object(line));
}

/* Nothing that a terminal would act on is printed. */
static void check_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		demand(text[i] == '\n' || ((unsigned char)text[i] >= ' ' && text[i] != 0x7f));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vm vm = { .pid = 1 };
	json_t *request = json_pack("{s:s}", "command", "update"), *answer = NULL;
	char *text = NULL;
	size_t len = 0;

	input = data;
	input_size = size;
	if (!client_ask(&vm, NULL, request, 5000, note_progress, NULL, &answer)) {
		shown = open_memstream(&text, &len);
		demand(shown != NULL);
		result_print(shown, answer);
		result_print_list(shown, "  ", json_object_get(answer, "reasons"));
		result_print_blockers(shown, json_object_get(answer, "blockers"));
		fclose(shown);
		check_text(text, len);
		free(text);
	}
	json_decref(answer);
	json_decref(request);
	return 0;
}
