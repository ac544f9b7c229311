/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet.h - every VM under the shim that the caller may see. */
#ifndef CPRSHIM_CTL_FLEET_H
#define CPRSHIM_CTL_FLEET_H

#include <jansson.h>
#include <stdbool.h>

/**
 * struct fleet_vm - one of them, while fleet_scan() has it in hand
 * @row:    what cprctl list tells of it
 * @answer: its status, NULL where it did not answer
 * @vm:	    the VM, NULL for a guardian whose guest stands still
 * @elsewhere: a run directory was named, and its socket is not there
 */
struct fleet_vm {
	json_t *row;
	const json_t *answer;
	const struct vm *vm;
	bool elsewhere;
};

typedef int (*fleet_visit)(const struct fleet_vm *one, void *opaque);

int fleet_scan(const char *rundir, fleet_visit visit, void *opaque);
int fleet_rows(const char *rundir, bool outdated_only, json_t **ret_rows);
int fleet_print(const json_t *rows);

#endif
