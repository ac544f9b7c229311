/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* policyfile.c - the host's cprshim.conf (state/policy.h). */
#include "policyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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
 * policyfile_read() - what cprshim.conf says
 * @ret: it; until the next call
 *
 * Not for threads.
 *
 * Return: 0, also where there is no such file; -EBADMSG where it cannot be read, can be changed by others than root, or is not
 * understood.
 */
int policyfile_read(struct policy *ret)
{
	static char text[POLICY_MAX];
	int fd = open(POLICY_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool missing = fd < 0 && errno == ENOENT, good = fd >= 0 && read_all(fd, text);

	if (fd >= 0)
		close(fd);
	if (missing)
		text[0] = '\0';
	return (good || missing) && policy_parse(ret, text) ? 0 : -EBADMSG;
}
