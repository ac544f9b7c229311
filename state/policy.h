/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* policy.h - what cprshim.conf says: from where replacements may come. The shim and cprctl both ask. */
#ifndef CPRSHIM_STATE_POLICY_H
#define CPRSHIM_STATE_POLICY_H

#include <stdbool.h>
#include <stddef.h>

/* Where configure puts it; no environment variable leads elsewhere. */
#define POLICY_FILE SYSCONFDIR "/cprshim.conf"
#define POLICY_MAX  65536 /* bytes of the file */
#define POLICY_DIRS 64

/**
 * struct policy - directories, none where anything goes
 * @dir:   absolute, without a slash at the end; they point into the text that was parsed
 * @count: of these
 */
struct policy {
	const char *dir[POLICY_DIRS];
	size_t count;
};

bool policy_parse(struct policy *ret, char *text);
bool policy_allows(const struct policy *p, const char *path);

#endif
