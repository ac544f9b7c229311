/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* beside.c - two QEMUs at a time; see beside.h. */
#include "beside.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shim/guard.h"
#include "../shim/inspect.h"
#include "../shim/nbd.h"
#include "../shim/real.h"
#include "partners.h"

static bool serves_two(const struct planned *p, bool for_show, const char **ret_name)
{
	if (p->partner)
		return for_show && partners_rehearsable(p->it.fd, ret_name);
	return (p->it.kind != FDKIND_VHOST || p->action != PLAN_PRESERVE || p->named) &&
	       (p->it.kind != FDKIND_CONNECTION || p->action != PLAN_CLOSE || nbd_is_spare(p->it.fd));
}

/**
 * beside_possible() - can this VM's successor be brought up beside it?
 * @plan:     what becomes of its descriptors
 * @for_show: it is thrown away
 * @ret_why:  if not: what stands against it, half a sentence
 * @size:     of @ret_why
 *
 * A back end in another process that QEMU talks to as it comes up serves one QEMU at a time, as does a vhost device that is
 * handed over. For show, something can stand for some of them (loader/partners.h).
 */
bool beside_possible(const struct plan *plan, bool for_show, char *ret_why, size_t size)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];
		const char *what = "a back end";

		if (!serves_two(p, for_show, &what)) {
			snprintf(ret_why, size, "descriptor %d (%s) leads to %s that serves one QEMU at a time",
				 p->it.fd, fdkind_text(p->it.kind), what);
			return false;
		}
	}
	return true;
}

struct inheritance {
	posix_spawn_file_actions_t *actions;
	const struct fdlist *occupied;
};

static bool is_in(const struct fdlist *list, int fd)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->fd[i] == fd)
			return true;
	return false;
}

/* QEMU does not mark all of its own close-on-exec, and the successor could not tell them from those of its libraries. */
static void drop(int fd, void *opaque)
{
	const struct inheritance *h = opaque;

	if (fd > STDERR_FILENO && !(real(fcntl)(fd, F_GETFD) & FD_CLOEXEC) && !is_in(h->occupied, fd))
		posix_spawn_file_actions_addclose(h->actions, fd);
}

static int keep_all(posix_spawn_file_actions_t *a, const struct fdlist *list)
{
	int rc = 0;

	/* A dup2 onto itself clears close-on-exec (posix_spawn_file_actions_adddup2, POSIX 2008). */
	for (size_t i = 0; !rc && i < list->count; i++)
		rc = -posix_spawn_file_actions_adddup2(a, list->fd[i], list->fd[i]);
	return rc;
}

/* What the state names stays open, and nothing else; a command is given no more than it must pass on. */
static int keep(posix_spawn_file_actions_t *a, const struct execution *e)
{
	static const struct fdlist none;
	const struct fdlist *occupied = e->carry.count ? &none : &e->occupy;
	struct inheritance h = { .actions = a, .occupied = occupied };
	int rc = -posix_spawn_file_actions_init(a);

	if (!rc)
		rc = inspect_each(drop, &h);
	if (!rc)
		rc = keep_all(a, execute_through(e));
	if (!rc)
		rc = keep_all(a, occupied);
	return -rc;
}

/**
 * beside_spawn() - start it
 * @h:	     written, with its program
 * @errors:  what is to be its stderr, or -1 for this process's
 * @ret_pid: the child
 *
 * Return: 0 or a negative errno.
 */
int beside_spawn(const struct handover *h, int errors, pid_t *ret_pid)
{
	const struct program *program = &h->exec.program;
	posix_spawn_file_actions_t a;
	posix_spawnattr_t attr;
	sigset_t none;
	char path[64];
	int rc = keep(&a, &h->exec);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", program->fd);
	sigemptyset(&none);
	vm_mark(JOURNAL_EXEC);
	if (!rc && errors >= 0)
		rc = posix_spawn_file_actions_adddup2(&a, errors, STDERR_FILENO);
	if (!rc)
		rc = posix_spawnattr_init(&attr) || posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK) ||
				     posix_spawnattr_setsigmask(&attr, &none)
			     ? ENOMEM
			     : posix_spawn(ret_pid, program->path ? program->path : path, &a, &attr, program->argv,
					   program->envp);
	posix_spawn_file_actions_destroy(&a);
	return -rc;
}

/**
 * beside_arrive() - in the successor, before main(): this process is the child that beside_spawn() has made
 * @state: what it came with
 */
void beside_arrive(const struct cprstate *state)
{
	/* struct kernel_sigaction of x86_64 and of the others is 32 bytes at most; zeroes are SIG_DFL. */
	static const uint64_t by_default[4];
	uint64_t ignored = vm_status_of(getppid(), "SigIgn", 16);

	/* posix_spawn() leaves them ignored (glibc, sysdeps/unix/sysv/linux/spawni.c): they are to be as the VM's were. */
	for (int signal = 32; signal < SIGRTMIN; signal++)
		if (!(ignored & UINT64_C(1) << (signal - 1)))
			syscall(SYS_rt_sigaction, signal, by_default, NULL, sizeof(uint64_t));
	guard_stand_beside(state->rehearsal_count);
	if (state->rehearsal_count)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
}
