/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ondisk.c - would a successor open the same files that this QEMU has open? See ondisk.h.
 *
 * An image that was deleted or renamed is QEMU's own as long as it has it open; a successor finds another file under
 * its path, or none. The first would put the guest on a foreign disk without a word.
 */
#include "ondisk.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

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

static void check_one(const struct inspected *it, struct reasons *reasons)
{
	const char *path = opened_path(it);
	struct stat held, now;

	/* A temporary file was deleted on purpose. */
	if (fstat(it->fd, &held) || (!held.st_nlink && !*path))
		return;
	if (!*path)
		path = it->link;
	if (fstatat(vm.cwd_fd >= 0 ? vm.cwd_fd : AT_FDCWD, path, &now, 0))
		reasons_add(reasons, "%s is open, but not found any more: the new QEMU could not open it", path);
	else if (held.st_dev != now.st_dev || held.st_ino != now.st_ino)
		reasons_add(reasons, "%s is another file now than the one that is open", path);
}

/**
 * ondisk_check() - would a successor open the same files?
 * @plan:    what becomes of the descriptors
 * @reasons: one sentence for each that it would not
 */
void ondisk_check(const struct plan *plan, struct reasons *reasons)
{
	for (size_t i = 0; i < plan->count; i++)
		if (must_be_there(&plan->fds[i]))
			check_one(&plan->fds[i].it, reasons);
}
