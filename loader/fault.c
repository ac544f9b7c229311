/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fault.c - make an update fail at a named place; see fault.h. */
#include "fault.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/settings.h"
#include "vm.h"

/** fault_at() - is this the place? */
bool fault_at(const char *place)
{
	if (!settings.fault || strcmp(settings.fault, place) != 0 || (vm.journal && vm.journal->attempt > 1))
		return false;
	log_warn("CPRSHIM_FAULT: fails at %s", place);
	return true;
}

/**
 * fault_program() - in a successor, on its main thread: end it as a broken QEMU would
 * @place: how far it has come: "PLACE-exit", "PLACE-abort", "PLACE-crash" and "PLACE-hang" are known
 */
void fault_program(const char *place)
{
	char name[64];

	snprintf(name, sizeof(name), "%s-exit", place);
	if (fault_at(name))
		exit(3);
	snprintf(name, sizeof(name), "%s-abort", place);
	if (fault_at(name))
		abort();
	snprintf(name, sizeof(name), "%s-crash", place);
	if (fault_at(name))
		raise(SIGSEGV);
	snprintf(name, sizeof(name), "%s-hang", place);
	if (fault_at(name))
		for (;;)
			pause();
}
