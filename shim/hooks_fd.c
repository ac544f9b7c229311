/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks_fd.c - descriptors duplicated and closed.
 *
 * close() is called often by some devices: a number without a record costs one load. A record goes before the kernel
 * frees the number, since another thread may be given it at once. Our own descriptors are not QEMU's to close.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "fdsets.h"
#include "guard.h"
#include "nbd.h"
#include "nocancel.h"
#include "real.h"
#include "session.h"
#include "slots.h"
#include "table.h"

static void forget_session(int fd)
{
	enum fdkind kind = table_kind(fd);

	if (kind == FDKIND_CLIENT || kind == FDKIND_CONNECTION || kind == FDKIND_PTY_MASTER)
		session_close(fd);
	if (kind == FDKIND_CONNECTION)
		nbd_closed(fd);
}

static void forget(int fd)
{
	forget_session(fd);
	table_forget(fd);
}

static int close_by(int (*closing)(int fd), int fd)
{
	if (__builtin_expect(slots_owns(fd), false) && guard_enter()) {
		guard_leave();
		errno = EBADF;
		return -1;
	}
	if (table_kind(fd) != FDKIND_NONE && guard_enter()) {
		bool kept = guard_role() == SHIM_SUCCESSOR && fdsets_close(fd);

		if (!kept)
			forget(fd);
		guard_leave();
		if (kept)
			return 0;
	}
	return closing(fd);
}

SHIM_HOOK int close(int fd)
{
	return close_by(real(close), fd);
}

static int kernel_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}

int nocancel_close(int fd)
{
	return close_by(kernel_close, fd);
}

static void forget_range(unsigned int first, unsigned int last)
{
	for (unsigned int fd = first; fd <= last && fd < FDTABLE_SLOTS; fd++)
		if (!slots_owns((int)fd) && table_kind((int)fd) != FDKIND_NONE)
			forget((int)fd);
}

/* Close what is not ours, one stretch between two of ours at a time. */
static int close_around_ours(unsigned int first, unsigned int last, unsigned int flags)
{
	unsigned int from = first;

	for (unsigned int fd = first; fd <= last && fd < FDTABLE_SLOTS; fd++) {
		if (!slots_owns((int)fd))
			continue;
		if (fd > from && real(close_range)(from, fd - 1, (int)flags))
			return -1;
		from = fd + 1;
	}
	return from <= last ? real(close_range)(from, last, (int)flags) : 0;
}

SHIM_HOOK int close_range(unsigned int first, unsigned int last, int flags)
{
	/* What the kernel refuses must not be forgotten. */
	bool valid = first <= last && !(flags & ~(int)(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE));

	if (!valid || !guard_enter())
		return real(close_range)(first, last, flags);
	if (!(flags & (int)CLOSE_RANGE_CLOEXEC))
		forget_range(first, last);
	int rc = close_around_ours(first, last, (unsigned int)flags);
	guard_leave();
	return rc;
}

SHIM_HOOK void closefrom(int first)
{
	if (first < 0)
		first = 0;
	if (close_range((unsigned int)first, UINT_MAX, 0))
		real(closefrom)(first);
}

static int note_duplicate(int from, int to, enum hook_id origin)
{
	if (to >= 0 && guard_enter()) {
		forget_session(to); /* of whom dup2() has just closed */
		table_note_duplicate(from, to, origin);
		guard_leave();
	}
	return to;
}

SHIM_HOOK int dup(int fd)
{
	return note_duplicate(fd, real(dup)(fd), HOOK_dup);
}

SHIM_HOOK int dup2(int fd, int to)
{
	if (fd == to)
		return real(dup2)(fd, to);
	if (__builtin_expect(slots_owns(to), false) && guard_enter()) {
		guard_leave();
		errno = EBADF;
		return -1;
	}
	return note_duplicate(fd, real(dup2)(fd, to), HOOK_dup2);
}

SHIM_HOOK int dup3(int fd, int to, int flags)
{
	if (__builtin_expect(slots_owns(to), false) && guard_enter()) {
		guard_leave();
		errno = EBADF;
		return -1;
	}
	return note_duplicate(fd, real(dup3)(fd, to, flags), HOOK_dup3);
}

static int control(int fd, int command, void *arg, enum hook_id origin)
{
	if (command != F_DUPFD && command != F_DUPFD_CLOEXEC)
		/* The third argument is an int, a pointer or nothing; as a pointer it passes on unchanged. */
		return real(fcntl64)(fd, command, arg);
	if (guard_role() == SHIM_SUCCESSOR && fdsets_duplicate(fd))
		return real(fcntl)(fd, F_SETFD, FD_CLOEXEC) ? -1 : fd;
	return note_duplicate(fd, real(fcntl64)(fd, command, arg), origin);
}

SHIM_HOOK int fcntl(int fd, int command, ...)
{
	va_list ap;

	va_start(ap, command);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	return control(fd, command, arg, HOOK_fcntl);
}

SHIM_HOOK int fcntl64(int fd, int command, ...)
{
	va_list ap;

	va_start(ap, command);
	void *arg = va_arg(ap, void *);
	va_end(ap);
	return control(fd, command, arg, HOOK_fcntl64);
}
