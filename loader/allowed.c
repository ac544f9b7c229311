/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * allowed.c - the allow-list in cprshim.conf; see allowed.h.
 *
 * It is read anew for each check and each update, whoever asks: SIGUSR2 comes without cprctl. What cannot be read, is not
 * root's or does not say clearly what is allowed allows nothing. What else is not understood may be for a newer library than
 * this VM's, and is warned of.
 */
#include "allowed.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "../shim/real.h"
#include "../state/policy.h"

static const char *read_text(int fd, char text[POLICY_MAX])
{
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_uid || st.st_mode & (S_IWGRP | S_IWOTH))
		return "can be changed by others than root";
	while (len < POLICY_MAX - 1 && (n = read(fd, text + len, POLICY_MAX - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return n ? "is too long, or cannot be read" : memchr(text, '\0', len) ? "is no text" : NULL;
}

/* Return: false where nothing is allowed, which has been said then. */
static bool read_policy(struct policy *ret, struct reasons *reasons)
{
	static char text[POLICY_MAX]; /* the service thread's alone */
	int fd = real(open)(POLICY_FILE, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *why = fd < 0 ? strerror(errno) : read_text(fd, text);

	*ret = (struct policy){ .count = 0 };
	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd >= 0)
		real(close)(fd);
	if (!why && !policy_parse(ret, text)) {
		reasons_add(reasons, BLOCKER_POLICY, POLICY_FILE ", line %zu: \"%.64s\" is not understood",
			    ret->wrong_line, ret->wrong);
		return false;
	}
	if (why)
		reasons_add(reasons, BLOCKER_POLICY, POLICY_FILE ": %s", why);
	return !why;
}

/**
 * allowed_request() - may this be asked for?
 * @request: the request
 * @reasons: why not
 * @warnings: a line that is not understood
 *
 * What a command does before it comes to a QEMU is in its arguments, so no directory says that it is harmless.
 */
void allowed_request(const struct update_request *request, struct reasons *reasons, struct reasons *warnings)
{
	struct policy policy;

	if (!read_policy(&policy, reasons))
		return;
	if (policy.wrong)
		reasons_note(warnings,
			     POLICY_FILE
			     ", line %zu: \"%.64s\" is not understood by this VM's library, and passed over",
			     policy.wrong_line, policy.wrong);
	if (policy.count && request->argv)
		reasons_add(reasons, BLOCKER_NOT_ALLOWED, POLICY_FILE " allows files only, and this is a command");
}

/**
 * allowed_file() - may this file be exec'd?
 * @path:    where it is found, symbolic links and all
 * @reasons: why not
 */
void allowed_file(const char *path, struct reasons *reasons)
{
	char resolved[PATH_MAX];
	struct policy policy;

	if (!read_policy(&policy, reasons) || !policy.count)
		return;
	if (!realpath(path, resolved))
		reasons_add(reasons, BLOCKER_NOT_ALLOWED, "%s: %s", path, strerror(errno));
	else if (!policy_allows(&policy, resolved))
		reasons_add(reasons, BLOCKER_NOT_ALLOWED, "%s is in no directory that " POLICY_FILE " allows",
			    resolved);
}
