/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mux.c - Ctrl-A c on the terminal; see mux.h.
 *
 * The monitor of a new QEMU keeps its greeting until the user turns to it for the first time
 * (monitor/hmp.c:monitor_event). So we turn to it, and back, while QEMU still has a decoy under its terminal. "mon:"
 * makes a multiplexer of two: a second Ctrl-A c leads back (chardev/char-mux.c). One that the user made (mux=on) may
 * have more, and is left alone.
 */
#include "mux.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "../shim/preserved.h"
#include "../shim/real.h"
#include "clock.h"
#include "preflight.h"
#include "qmp.h"
#include "vm.h"

#define GREETING_MS 500

static struct decoy *decoy_under(int number)
{
	for (size_t i = 0; i < preserved_count(); i++) {
		struct preserved *p = preserved_at(i);

		if (p->kind == FDKIND_STDIO && p->number == number && p->decoy.placed)
			return &p->decoy;
	}
	return NULL;
}

static bool made_by_user(void)
{
	for (size_t i = 1; vm.argv[i]; i++)
		if (strstr(vm.argv[i], "mux=on") || strstr(vm.argv[i], ",mux"))
			return true;
	return false;
}

static bool has_mux(uint64_t deadline)
{
	json_t *chardevs = preflight_chardevs(deadline);
	const json_t *dev;
	bool found = false;
	size_t i;

	json_array_foreach(chardevs, i, dev) {
		const char *name = json_string_value(json_object_get(dev, "filename"));

		found |= name && !strcmp(name, "mux");
	}
	json_decref(chardevs);
	return found;
}

static void wait_for_prompt(struct decoy *out, uint64_t until)
{
	char text[1024];
	size_t len = 0;

	while (clock_now() < until && len < sizeof(text) && !memmem(text, len, "(qemu)", 6)) {
		struct pollfd wait = { .fd = out->peer, .events = POLLIN };

		poll(&wait, 1, clock_left_ms(until));
		ssize_t n = decoy_read(out, text + len, sizeof(text) - len);
		len += n > 0 ? (size_t)n : 0;
	}
}

/** mux_use_up_greeting() - have the monitor greet nobody; before the terminal is QEMU's again */
void mux_use_up_greeting(uint64_t deadline_ns)
{
	static const char turn[] = { 1, 'c' };
	struct decoy *in = decoy_under(STDIN_FILENO), *out = decoy_under(STDOUT_FILENO);
	uint64_t until = qmp_in_ms(GREETING_MS);
	char error[QMP_ERROR_MAX];
	int left = 1;

	if (!in || !out || made_by_user() || !has_mux(deadline_ns))
		return;
	if (write(in->peer, turn, sizeof(turn)) != sizeof(turn))
		return;
	wait_for_prompt(out, until);
	if (write(in->peer, turn, sizeof(turn)) != sizeof(turn))
		return;
	while (left && clock_now() < until && !qmp_do(&qmp_private, "query-status", NULL, deadline_ns, error))
		if (real(ioctl)(in->peer, TIOCOUTQ, &left))
			left = 0;
}
