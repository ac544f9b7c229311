/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmd_after_upgrade.c - cprctl after-upgrade: packages have been upgraded; what cprshim.conf says is done with outdated VMs. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "fleet.h"
#include "policyfile.h"
#include "text.h"
#include "update.h"

static int list(const json_t *rows)
{
	size_t count = json_array_size(rows);
	int err;

	printf("VMs that run another QEMU, or other libraries, than are on disk now: %zu\n", count);
	err = fleet_print(rows);
	if (err)
		text_error("cannot list the VMs: %s", strerror(-err));
	return err ? CTL_NO : CTL_OK;
}

/**
 * cmd_after_upgrade() - cprctl after-upgrade
 * @opts: the command line
 *
 * A package manager calls it (contrib/apt-cprshim.conf).
 *
 * Return: CTL_OK where nothing is outdated, or it is only to be listed; else that of update_all(), or CTL_NO.
 */
int cmd_after_upgrade(const struct options *opts)
{
	struct options all = *opts;
	struct policy policy;
	char why[POLICYFILE_WHY];
	bool understood = !policyfile_read(&policy, why);
	json_t *rows = NULL;
	int code, err;

	if (!understood)
		text_error("%s: no VM is updated", why);
	else if (policy.upgrade == POLICY_UPGRADE_NO)
		return CTL_OK;
	err = fleet_rows(opts->rundir, true, &rows);
	if (err) {
		text_error("cannot look at the VMs: %s", strerror(-err));
		return CTL_NO;
	}
	code = understood ? CTL_OK : CTL_NO;
	if (json_array_size(rows)) {
		code |= list(rows);
		all.seen |= OPT_EVERY_VM | OPT_OUTDATED;
		if (understood && policy.upgrade == POLICY_UPGRADE_YES)
			code = update_all(&all);
		else
			puts("To update them: cprctl update --all --outdated");
	}
	json_decref(rows);
	return code;
}
