/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* policyfile.c - the host's cprshim.conf (state/policy.h). */
#include "policyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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
 * @ret:     it; until the next call
 * @ret_why: what is wrong with it, a sentence without its end, of any characters; where something is
 *
 * Not for threads. A VM may pass over a line that it does not understand (state/policy.h); here that is a mistake in any case.
 *
 * Return: 0, also where there is no such file; -EBADMSG where it cannot be read, can be changed by others than root, or is not
 * understood.
 */
int policyfile_read(struct policy *ret, char ret_why[POLICYFILE_WHY])
{
	static char text[POLICY_MAX];
	int fd = open(POLICY_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool missing = fd < 0 && errno == ENOENT, good = fd >= 0 && read_all(fd, text);

	if (fd >= 0)
		close(fd);
	if (missing)
		text[0] = '\0';
	if (!good && !missing) {
		snprintf(ret_why, POLICYFILE_WHY,
			 POLICY_FILE " cannot be read, is too long, or can be changed by others than root");
		return -EBADMSG;
	}
	if (policy_parse(ret, text) && !ret->wrong)
		return 0;
	snprintf(ret_why, POLICYFILE_WHY, POLICY_FILE ", line %zu: \"%.64s\" is not understood", ret->wrong_line,
		 ret->wrong);
	return -EBADMSG;
}
