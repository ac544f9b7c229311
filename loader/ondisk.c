/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ondisk.c - would a successor open the same files that this QEMU has open? See ondisk.h.
 *
 * An image that was deleted or renamed is QEMU's own as long as it has it open; a successor would find another file
 * under its path, or none. The first would put the guest on a foreign disk without a word. So it is given the very file
 * (shim/moved.h).
 */
#include "ondisk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../shim/moved.h"
#include "../shim/ram.h"
#include "../shim/real.h"
#include "vm.h"

/*
 * The path by which QEMU opened it; "" where it is not known, was too long to be recorded, or is relative to who knows
 * what.
 */
static const char *opened_path(const struct inspected *it)
{
	const char *path = (const char *)it->rec.detail;

	if (!it->recorded || it->rec.detail_type != FDDETAIL_TEXT || it->rec.detail_len >= FDTABLE_DETAIL - 1)
		return "";
	return path[0] != '/' && (it->rec.origin == HOOK_openat || it->rec.origin == HOOK_openat64) ? "" : path;
}

/* What is opened with O_CREAT (the pidfile) may well be made anew, and so may a file that QEMU unlinks at once. */
static bool must_be_there(const struct planned *p)
{
	return p->action == PLAN_REOPEN && (p->it.kind == FDKIND_FILE || p->it.kind == FDKIND_BLOCKDEV) &&
	       !(p->it.rec.open_flags & O_CREAT) && !p->from_fdset &&
	       !(ram_holds(p->it.fd) && ram_is_own_file(p->it.fd));
}

/*
 * Does its path lead elsewhere now? Where the path is not known the kernel's is asked, and a file without a name is a
 * temporary one, deleted on purpose.
 */
static bool is_elsewhere(const struct inspected *it, const char **ret_path, bool *ret_gone)
{
	const char *path = opened_path(it);
	struct stat held, now;

	if (fstat(it->fd, &held) || (!held.st_nlink && !*path))
		return false;
	*ret_path = *path ? path : it->link;
	*ret_gone = fstatat(vm.cwd_fd >= 0 ? vm.cwd_fd : AT_FDCWD, *ret_path, &now, 0) != 0;
	return *ret_gone || held.st_dev != now.st_dev || held.st_ino != now.st_ino;
}

/* QEMU chooses its driver by what the path leads to, if that is a device (block.c:find_hdev_driver). */
static bool can_be_held(const struct inspected *it)
{
	return it->kind == FDKIND_FILE && *opened_path(it);
}

/* A path can stand for one file only. */
static bool is_ambiguous(const struct plan *plan, const struct inspected *it)
{
	struct stat mine, other;

	for (size_t i = 0; i < plan->count; i++) {
		const struct inspected *o = &plan->fds[i].it;

		if (must_be_there(&plan->fds[i]) && !strcmp(opened_path(o), opened_path(it)) && !fstat(it->fd, &mine) &&
		    !fstat(o->fd, &other) && (mine.st_dev != other.st_dev || mine.st_ino != other.st_ino))
			return true;
	}
	return false;
}

/* As open() asks: with the rights that the process has by now, which -runas and others may have changed. */
static void check_access(const struct inspected *it, struct reasons *reasons)
{
	int flags = real(fcntl)(it->fd, F_GETFL) & O_ACCMODE;
	int mode = (flags != O_WRONLY ? R_OK : 0) | (flags != O_RDONLY ? W_OK : 0);
	const char *path = opened_path(it);

	if (*path && faccessat(vm.cwd_fd >= 0 ? vm.cwd_fd : AT_FDCWD, path, mode, AT_EACCESS))
		reasons_add(reasons, BLOCKER_FILE_NO_ACCESS, "%s cannot be opened again by this process: %s", path,
			    strerror(errno));
}

/**
 * ondisk_check() - would a successor open the same files, or could it be given them?
 * @plan:    what becomes of the descriptors
 * @reasons: one sentence for each that it would not
 */
void ondisk_check(const struct plan *plan, struct reasons *reasons)
{
	const char *path;
	bool gone;

	for (size_t i = 0; i < plan->count; i++) {
		const struct inspected *it = &plan->fds[i].it;

		if (!must_be_there(&plan->fds[i]))
			continue;
		if (!is_elsewhere(it, &path, &gone)) {
			check_access(it, reasons);
			continue;
		}
		if (!can_be_held(it))
			reasons_add(reasons, BLOCKER_FILE_GONE,
				    gone ? "%s is open, but not found any more"
					 : "%s is another file now than the one that is open",
				    path);
		else if (is_ambiguous(plan, it))
			reasons_add(reasons, BLOCKER_FILE_TWICE, "%s was opened again after it was renamed or deleted",
				    path);
	}
}

/**
 * ondisk_hold() - hold the files that a successor would not find, until moved_release()
 * @plan:     what becomes of the descriptors
 * @warnings: one sentence for each
 *
 * Return: 0 or a negative errno.
 */
int ondisk_hold(const struct plan *plan, struct reasons *warnings)
{
	const char *path;
	bool gone;
	int rc = 0;

	for (size_t i = 0; !rc && i < plan->count; i++) {
		const struct inspected *it = &plan->fds[i].it;

		if (!must_be_there(&plan->fds[i]) || !is_elsewhere(it, &path, &gone))
			continue;
		rc = moved_hold(path, it->fd);
		reasons_note(
			warnings,
			gone ? "%s was renamed or deleted; the guest keeps it, but its next start will not find it"
			     : "%s is another file by now; the guest keeps the one that it has, until its next start",
			path);
	}
	return rc;
}
