/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* confined.c - AppArmor or SELinux; see confined.h. */
#include "confined.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../shim/real.h"

#define ADVICE "; docs/confinement.md says what must be allowed, and the kernel's log what was denied"

/* 0, -ENOENT where there is no such file or module, or -EACCES. */
static int read_label(const char *path, char *ret, size_t size)
{
	int fd = real(open)(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);
	int rc = n >= 0 ? 0 : errno == EACCES ? -EACCES : -ENOENT;

	if (fd >= 0)
		real(close)(fd);
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return rc;
}

/* Or it said nothing that would tell. */
static bool was_denied(const char *said)
{
	return !*said || strstr(said, "denied") || strstr(said, "not permitted");
}

/**
 * confined_hint() - where a replacement has failed: who may have denied it something
 * @said: what is known of it, or ""
 *
 * Return: the end of a sentence; "" where nobody is to be suspected. Until the next call.
 */
const char *confined_hint(const char *said)
{
	static char hint[512]; /* the service thread alone asks */
	char label[256];
	bool apparmor = true;

	hint[0] = '\0';
	if (!was_denied(said))
		return hint;
	int rc = read_label("/proc/self/attr/apparmor/current", label, sizeof(label));
	if (rc == -ENOENT) {
		rc = read_label("/proc/self/attr/current", label, sizeof(label));
		/* AppArmor's have a mode behind the profile's name, SELinux's have colons. */
		apparmor = !strchr(label, ':');
	}
	if (rc == -EACCES)
		snprintf(hint, sizeof(hint), "; a security module confines this VM, AppArmor or SELinux" ADVICE);
	else if (!rc && apparmor && (strstr(label, " (enforce)") || strstr(label, " (kill)")))
		snprintf(hint, sizeof(hint), "; AppArmor confines this VM by the profile %s" ADVICE, label);
	else if (!rc && !apparmor)
		snprintf(hint, sizeof(hint), "; SELinux confines this VM as %s" ADVICE, label);
	return hint;
}
