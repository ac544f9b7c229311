/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * allowed.c - the allow-list in cprshim.conf; see allowed.h.
 *
 * The VM looks at the list by itself, in its own mount namespace; who has taken the VM over may not. So what the caller
 * names is looked at here too, by the host's list.
 */
#include "allowed.h"

#include <limits.h>
#include <stdlib.h>

#include "policyfile.h"
#include "text.h"

/**
 * allowed_replacement() - may what is named on the command line replace a QEMU?
 * @opts: the command line
 *
 * Return: true; or false, which was then said on standard error.
 */
bool allowed_replacement(const struct options *opts)
{
	char resolved[PATH_MAX], why[POLICYFILE_WHY];
	struct policy policy;

	if (policyfile_read(&policy, why)) {
		text_error("%s", why);
		return false;
	}
	if (policy.count && opts->seen & OPT_COMMAND) {
		text_error("%s allows files only, and not --command", POLICY_FILE);
		return false;
	}
	if (!opts->binary || !policy.count || (realpath(opts->binary, resolved) && policy_allows(&policy, resolved)))
		return true;
	text_error("%s is in no directory that %s allows", opts->binary, POLICY_FILE);
	return false;
}
