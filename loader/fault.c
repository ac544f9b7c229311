/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fault.c - make an update fail at a named place; see fault.h. */
#include "fault.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/guard.h"
#include "../shim/log.h"
#include "../shim/settings.h"
#include "vm.h"

/** fault_at() - is this the place? */
bool fault_at(const char *place)
{
	if (!settings.fault || strcmp(settings.fault, place) != 0 ||
	    guard_rehearses() != !strncmp(place, "rehearsal", strlen("rehearsal")) ||
	    (vm.journal && vm.journal->attempt > 1))
		return false;
	log_warn("CPRSHIM_FAULT: fails at %s", place);
	return true;
}

static void by_exit(void)
{
	exit(3);
}

static void by_crash(void)
{
	raise(SIGSEGV);
}

static void by_kill(void)
{
	raise(SIGKILL);
}

static void by_hang(void)
{
	for (;;)
		pause();
}

/**
 * fault_program() - in a successor, on its main thread: end it as a broken QEMU would
 * @place: how far it has come: "PLACE-exit", "PLACE-abort", "PLACE-crash", "PLACE-kill" and "PLACE-hang" are known
 */
void fault_program(const char *place)
{
	static const struct {
		const char *name;
		void (*end)(void);
	} kinds[] = {
		{ "exit", by_exit }, { "abort", abort }, { "crash", by_crash }, { "kill", by_kill }, { "hang", by_hang }
	};
	char name[64];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		snprintf(name, sizeof(name), "%s-%s", place, kinds[i].name);
		if (fault_at(name))
			kinds[i].end();
	}
}
