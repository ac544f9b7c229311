/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_list.c - cprctl list: every VM under the shim that the caller may see. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "fleet.h"
#include "jget.h"
#include "text.h"

/**
 * cmd_list() - cprctl list
 * @opts: the command line
 *
 * Return: CTL_OK, also where there is no VM; CTL_NO.
 */
int cmd_list(const struct options *opts)
{
	json_t *rows = NULL;
	int err = fleet_rows(opts->rundir, opts->seen & OPT_OUTDATED, &rows);

	if (!err)
		err = (opts->seen & OPT_JSON) ? jget_print(rows) : fleet_print(rows);
	if (err)
		text_error("cannot list the VMs: %s", strerror(-err));
	json_decref(rows);
	return err ? CTL_NO : CTL_OK;
}
