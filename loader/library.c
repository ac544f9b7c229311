/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* library.c - which libcprshim.so a program runs; see library.h. */
#include "library.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "../shim/real.h"
#include "../shim/slots.h"
#include "pins.h"
#include "vm.h"

/**
 * library_judge() - can the library that a replacement has loaded take over what this one hands over?
 * @binary:  the replacement
 * @path:    where it has that library from
 * @theirs:  what that one reads
 * @reasons: why not
 */
void library_judge(const char *binary, const char *path, struct cprstate_versions theirs, struct reasons *reasons)
{
	if (!cprstate_understood(theirs, cprstate_versions()))
		reasons_add(reasons, BLOCKER_LIBRARY_VERSION,
			    "%s loads %s, which does not understand what the running libcprshim.so hands over", binary,
			    path);
}

static int open_own(void)
{
	char path[PATH_MAX];

	if (!pins_own_path(path, sizeof(path)))
		return -ENOENT;
	int fd = real(open)(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : slots_move(fd);
}

static bool is_held(int fd)
{
	struct stat ours, held;

	return !fstat(fd, &ours) && !fstat(vm.library_fd, &held) && ours.st_dev == held.st_dev &&
	       ours.st_ino == held.st_ino;
}

/**
 * library_hold() - the update is done: the library that this program runs is what the next one is given
 * @warnings: where it cannot be held
 */
void library_hold(struct reasons *warnings)
{
	int fd = open_own();

	if (fd < 0) {
		reasons_note(warnings,
			     "the libcprshim.so that was loaded cannot be held, the next update uses the last one: %s",
			     strerror(-fd));
	} else if (is_held(fd)) {
		slots_close(fd);
	} else {
		slots_close(vm.library_fd);
		vm.library_fd = fd;
	}
}
