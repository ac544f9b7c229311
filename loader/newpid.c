/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* newpid.c - what bears the VM's process id on disk, when that has become another; see newpid.h. */
#include "newpid.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "vm.h"

static bool rename_links(pid_t from, pid_t to)
{
	char links[PATH_MAX];

	if (!from)
		return false;
	snprintf(links, sizeof(links), "%s", control_links_dir(from));
	return !rename(links, control_links_dir(to));
}

/**
 * newpid_take() - whatever bears the old process id gets this one
 * @state: the CPR state
 *
 * Another one may have done so and died before this one, at any moment.
 */
void newpid_take(const struct cprstate *state)
{
	int32_t *names = vm.journal->names;
	pid_t first = (pid_t)state->vm[0].pid, before = names[0], last = names[1], me = getpid();
	bool linked = vm.binary.module_dir[0] && !strcmp(vm.binary.module_dir, control_links_dir(first));

	names[0] = last;
	names[1] = me;
	control_move(last ? last : first);
	if (linked && (rename_links(last, me) || rename_links(before, me) || rename_links(first, me))) {
		snprintf(vm.binary.module_dir, sizeof(vm.binary.module_dir), "%s", control_links_dir(me));
		snprintf(vm.binary.firmware_dir, sizeof(vm.binary.firmware_dir), "%s", control_links_dir(me));
	}
}
