/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stdout.c - a successor's standard output while it comes up; see stdout.h. */
#include "stdout.h"

#include <errno.h>
#include <unistd.h>

#include "../shim/real.h"
#include "../shim/slots.h"
#include "../shim/table.h"

static int held = -1, real_stdout = -1;
static off_t dropped;

/** stdout_hold() - keep what is printed from now on; before main() */
void stdout_hold(void)
{
	real_stdout = slots_park(STDOUT_FILENO);
	held = slots_memfd("cprshim-stdout");
	if (real_stdout < 0 || held < 0) {
		real_stdout = slots_close(real_stdout);
		held = slots_close(held);
		return;
	}
	real(fcntl)(held, F_SETFL, O_APPEND);
	real(dup2)(held, STDOUT_FILENO);
}

/** stdout_is_up() - the guest is about to run: what has been printed so far is dropped */
void stdout_is_up(void)
{
	dropped = held < 0 ? 0 : lseek(held, 0, SEEK_END);
}

/** stdout_give_back() - put the real one back, for the way back to the old binary. Async-signal-safe. */
void stdout_give_back(void)
{
	if (real_stdout >= 0)
		real(dup2)(real_stdout, STDOUT_FILENO);
}

/** stdout_release() - give QEMU its stdout, with what it has printed since the guest runs */
void stdout_release(void)
{
	char buf[4096];
	ssize_t n;

	if (held < 0)
		return;
	/* A character device on it has been switched to the real one already: it is the same open file. */
	stdout_give_back();
	table_refresh(STDOUT_FILENO);
	while ((n = pread(held, buf, sizeof(buf), dropped)) > 0) {
		dropped += n;
		while (write(real_stdout, buf, (size_t)n) < 0 && errno == EINTR)
			;
	}
	held = slots_close(held);
	real_stdout = slots_close(real_stdout);
}
