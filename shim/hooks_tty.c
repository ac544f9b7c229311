/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks_tty.c - pseudo terminals, and the settings of the terminal that QEMU was started on.
 *
 * openpty() opens its two descriptors inside libc, where no hook of open() sees them. QEMU reads a terminal's settings
 * once, to restore them when it exits, and makes it raw (chardev/char-stdio.c): a successor would take raw for
 * original. A character device on a terminal reads and writes it with readv() and writev() (io/channel-file.c).
 */
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guard.h"
#include "preserved.h"
#include "real.h"
#include "session.h"
#include "table.h"
#include "tty.h"

static int rebind_pty(int *master, int *slave)
{
	struct preserved *p = guard_role() == SHIM_SUCCESSOR ? preserved_next(FDKIND_PTY_MASTER) : NULL;

	return p ? decoy_place_pty(&p->decoy, p->fd, master, slave) : -1;
}

SHIM_HOOK int openpty(int *master, int *slave, char *name, const struct termios *term, const struct winsize *size)
{
	if (!guard_enter())
		return real(openpty)(master, slave, name, term, size);
	int rc = 0;
	if (rebind_pty(master, slave))
		rc = real(openpty)(master, slave, name, term, size);
	if (!rc) {
		table_note(*master, FDKIND_PTY_MASTER, HOOK_openpty);
		table_note(*slave, FDKIND_TTY, HOOK_openpty);
	}
	guard_leave();
	return rc;
}

/* The name that a client opens is the preserved terminal's. */
SHIM_HOOK char *ptsname(int fd)
{
	return real(ptsname)(decoy_real(fd));
}

/* What a user types, and is shown: 0 and 1 are one terminal. */
static bool is_typed_at(int fd)
{
	enum fdkind kind = table_kind(fd);

	return kind == FDKIND_PTY_MASTER || (kind == FDKIND_STDIO && fd <= STDOUT_FILENO);
}

SHIM_HOOK ssize_t readv(int fd, const struct iovec *iov, int count)
{
	ssize_t n = real(readv)(fd, iov, count);

	if (n > 0 && is_typed_at(fd) && guard_enter()) {
		struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };

		session_received(fd, &msg, (size_t)n);
		guard_leave();
	}
	return n;
}

SHIM_HOOK ssize_t writev(int fd, const struct iovec *iov, int count)
{
	ssize_t n = real(writev)(fd, iov, count);

	if (n > 0 && is_typed_at(fd) && guard_enter()) {
		struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = (size_t)count };

		session_sent(fd == STDOUT_FILENO ? STDIN_FILENO : fd, &msg, (size_t)n);
		guard_leave();
	}
	return n;
}

SHIM_HOOK int tcgetattr(int fd, struct termios *ret)
{
	if (guard_role() == SHIM_SUCCESSOR && tty_original(fd, ret))
		return 0;
	return real(tcgetattr)(fd, ret);
}
