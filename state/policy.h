/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* policy.h - what cprshim.conf says: whence replacements may come, and what an upgrade leads to. The shim and cprctl ask. */
#ifndef CPRSHIM_STATE_POLICY_H
#define CPRSHIM_STATE_POLICY_H

#include <stdbool.h>
#include <stddef.h>

/* Where configure puts it; no environment variable leads elsewhere. */
#define POLICY_FILE SYSCONFDIR "/cprshim.conf"
#define POLICY_MAX  65536 /* bytes of the file */
#define POLICY_DIRS 64

/* What becomes of VMs that a package upgrade has made outdated. */
enum policy_upgrade {
	POLICY_UPGRADE_LIST, /* they are named; where nothing is said */
	POLICY_UPGRADE_NO,
	POLICY_UPGRADE_YES, /* they are updated */
};

/**
 * struct policy - what is said
 * @dir:   directories, none where anything goes; absolute, without a slash at the end; they point into the text that was parsed
 * @count: of these
 * @upgrade: what an upgrade leads to
 * @wrong: the first line that is not understood, as far as its word; NULL where all are. It points into the text too
 * @wrong_line: its number, from 1 on
 */
struct policy {
	const char *dir[POLICY_DIRS];
	size_t count;
	enum policy_upgrade upgrade;
	const char *wrong;
	size_t wrong_line;
};

bool policy_parse(struct policy *ret, char *text);
bool policy_allows(const struct policy *p, const char *path);

#endif
