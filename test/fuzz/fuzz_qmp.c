/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_qmp.c - libFuzzer on what QEMU writes on the private monitor, and on its users' monitors while they have decoys; see
 * run.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/changes.h"
#include "loader/ending.h"
#include "loader/qmp.h"
#include "loader/wire.h"
#include "shim/main_call.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int good)
{
	if (!good)
		abort();
}

void changes_event(const char *event, const char *device)
{
	demand(event && (!device || strlen(device) < 65536));
}

bool main_call_begin(main_call_fn *fn, void *opaque)
{
	(void)fn, (void)opaque;
	return false;
}

int main_call_end(uint64_t deadline_ns)
{
	(void)deadline_ns;
	return 0;
}

const char *main_call_name(void)
{
	return "";
}

void ending_hold(void)
{
}

void ending_release(void)
{
}

ssize_t decoy_read(struct decoy *d, void *buf, size_t len)
{
	(void)d, (void)buf, (void)len;
	return 0;
}

/* All of it is there when the first command is given, and then the end. */
static void ask(const uint8_t *data, size_t size)
{
	char error[QMP_ERROR_MAX] = "";
	int pair[2];

	demand(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	demand(send(pair[1], data, size, 0) == (ssize_t)size && !shutdown(pair[1], SHUT_WR));
	qmp_private = (struct qmp){ .fd = pair[0] };
	qmp_foresee(&qmp_private, "query-status", NULL);
	qmp_foresee(&qmp_private, "cont", NULL);
	json_t *answer = qmp_command(&qmp_private, "query-status", NULL, qmp_in_ms(5000), error);
	demand(answer || memchr(error, '\0', sizeof(error)));
	json_decref(answer);
	free(qmp_hmp(&qmp_private, "info network", qmp_in_ms(5000)));
	qmp_drain(&qmp_private);
	qmp_release(&qmp_private);
	close(pair[0]);
	close(pair[1]);
}

/* What is taken away is taken once, and the rest is what it was. */
static void sift(const uint8_t *data, size_t size)
{
	static const char *const names[] = { "STOP", "RESUME", NULL };
	struct wire w = { .data = malloc(size + 1), .len = size };
	size_t before;

	demand(w.data != NULL);
	memcpy(w.data, data, size);
	wire_drop_events(&w, names);
	demand(w.len <= size);
	do {
		before = w.len;
	} while (wire_take(&w, "\"return\"") && w.len < before);
	demand(w.len <= before);
	wire_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ask(data, size);
	sift(data, size);
	return 0;
}
