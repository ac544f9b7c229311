/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks_event.c - descriptors that belong to one program image and are never preserved, recorded so that the table can
 * say where each came from. signalfd() is also how the shim learns that QEMU is past its forks.
 */
#include "guard.h"
#include "lifecycle.h"
#include "real.h"
#include "table.h"

static int note(int fd, enum fdkind kind, enum hook_id origin)
{
	if (fd >= 0 && guard_enter()) {
		table_note(fd, kind, origin);
		guard_leave();
	}
	return fd;
}

SHIM_HOOK int eventfd(unsigned int count, int flags)
{
	return note(real(eventfd)(count, flags), FDKIND_EVENTFD, HOOK_eventfd);
}

SHIM_HOOK int epoll_create(int size)
{
	return note(real(epoll_create)(size), FDKIND_EPOLL, HOOK_epoll_create);
}

SHIM_HOOK int epoll_create1(int flags)
{
	return note(real(epoll_create1)(flags), FDKIND_EPOLL, HOOK_epoll_create1);
}

SHIM_HOOK int timerfd_create(clockid_t clock, int flags)
{
	return note(real(timerfd_create)(clock, flags), FDKIND_TIMERFD, HOOK_timerfd_create);
}

SHIM_HOOK int inotify_init(void)
{
	return note(real(inotify_init)(), FDKIND_INOTIFY, HOOK_inotify_init);
}

SHIM_HOOK int inotify_init1(int flags)
{
	return note(real(inotify_init1)(flags), FDKIND_INOTIFY, HOOK_inotify_init1);
}

/*
 * QEMU makes its one signalfd in qemu_init_main_loop() (util/main-loop.c:qemu_signal_init), on the main thread, after
 * the forks of -daemonize and before any device: from here on threads may be made.
 */
SHIM_HOOK int signalfd(int fd, const sigset_t *mask, int flags)
{
	int ret = real(signalfd)(fd, mask, flags);

	if (guard_enter()) {
		if (ret >= 0)
			table_note(ret, FDKIND_SIGNALFD, HOOK_signalfd);
		guard_leave();
		lifecycle_main_loop_ready();
	}
	return ret;
}

static int note_pipe(int rc, const int fds[2], enum hook_id origin)
{
	if (!rc) {
		note(fds[0], FDKIND_PIPE, origin);
		note(fds[1], FDKIND_PIPE, origin);
	}
	return rc;
}

SHIM_HOOK int pipe(int fds[2])
{
	return note_pipe(real(pipe)(fds), fds, HOOK_pipe);
}

SHIM_HOOK int pipe2(int fds[2], int flags)
{
	return note_pipe(real(pipe2)(fds, flags), fds, HOOK_pipe2);
}
