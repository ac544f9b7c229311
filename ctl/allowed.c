/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * allowed.c - the allow-list in cprshim.conf; see allowed.h.
 *
 * The VM looks at the list by itself, in its own mount namespace; who has taken the VM over may not. So what the caller
 * names is looked at here too, by the host's list.
 */
#include "allowed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../state/policy.h"
#include "text.h"

static bool read_all(int fd, char text[POLICY_MAX])
{
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid || st.st_mode & (S_IWGRP | S_IWOTH))
		return false;
	while (len < POLICY_MAX - 1 && (n = read(fd, text + len, POLICY_MAX - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return !n && strlen(text) == len;
}

/**
 * allowed_replacement() - may what is named on the command line replace a QEMU?
 * @opts: the command line
 *
 * Return: true; or false, which was then said on standard error.
 */
bool allowed_replacement(const struct options *opts)
{
	static char text[POLICY_MAX];
	char resolved[PATH_MAX];
	struct policy policy;
	int fd = open(POLICY_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool good = fd >= 0 && read_all(fd, text) && policy_parse(&policy, text);

	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd >= 0)
		close(fd);
	if (!good) {
		text_error("%s cannot be read, can be changed by others than root, or is not understood", POLICY_FILE);
		return false;
	}
	if (policy.count && opts->seen & OPT_COMMAND) {
		text_error("%s allows files only, and not --command", POLICY_FILE);
		return false;
	}
	if (!opts->binary || (realpath(opts->binary, resolved) && policy_allows(&policy, resolved)))
		return true;
	text_error("%s is in no directory that %s allows", opts->binary, POLICY_FILE);
	return false;
}
