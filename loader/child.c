/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* child.c - the end of a child process of ours; see child.h. */
#include "child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../shim/real.h"

static bool has_ended(pid_t pid, int ms)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	bool ended = poll(&end, 1, ms) == 1;

	if (pidfd >= 0)
		real(close)(pidfd);
	return ended;
}

static int reap(pid_t pid, int *ret_status)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret_status)
		*ret_status = status;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

/**
 * child_wait() - wait for a child's end, and bring it about where it does not come
 * @pid: the child, which is reaped in any case
 * @ms:  how long it may take
 *
 * Return: 0 where it came to its end with exit status 0, -EIO where with another, -ETIMEDOUT where it was killed.
 */
int child_wait(pid_t pid, int ms)
{
	if (has_ended(pid, ms))
		return reap(pid, NULL);
	kill(pid, SIGKILL);
	reap(pid, NULL);
	return -ETIMEDOUT;
}

/**
 * child_watch() - as child_wait(), but the child is left alone where it does not end
 * @ret_status: where it has: of wait(2)
 */
int child_watch(pid_t pid, int ms, int *ret_status)
{
	return has_ended(pid, ms) ? reap(pid, ret_status) : -ETIMEDOUT;
}
