/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rundir.c - find a VM's control socket and connect to it.
 *
 * Where several directories come into question, the first wins in which the very process listens that was asked for:
 * the name PID.sock says nothing, since anybody may have made it.
 */
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../state/rundir.h"

/* A full backlog is tried again this often, and this far apart. */
#define CONNECT_TRIES	   100
#define CONNECT_TRIES_WAIT 10

static int check_peer(int fd, const struct vm *vm)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	if (peer.pid != vm->pid)
		return -EREMCHG;
	/* these are the credentials at the time of listen(): a VMM may have given root up since */
	if (peer.uid != vm->id.uid && peer.uid != 0)
		return -EREMCHG;
	return 0;
}

/* In a PID namespace of its own the VM goes by another number, which its socket is named after. */
static int try_connect(int fd, int dir, pid_t pid)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	/* by way of the directory's descriptor, because its path may be longer than an address holds */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" RUNDIR_SOCKET, dir, pid);
	for (int i = 0; i < CONNECT_TRIES; i++) {
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return 0;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		poll(NULL, 0, CONNECT_TRIES_WAIT);
	}
	return -ETIMEDOUT;
}

static int connect_in(const char *path, const struct vm *vm, int *ret_fd)
{
	int dir, fd, err;

	if (*path != '/')
		return -ENOENT;
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		err = -errno;
		close(dir);
		return err;
	}
	err = try_connect(fd, dir, vm->pid);
	if (err == -ENOENT && vm->id.inner_pid != vm->pid)
		err = try_connect(fd, dir, vm->id.inner_pid);
	close(dir);
	if (!err)
		err = check_peer(fd, vm);
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}

/* Return: 0 with the directory under a user's runtime directory, or -ENOENT. */
static int user_rundir(const char *runtime_dir, char ret_path[PATH_MAX])
{
	int len = snprintf(ret_path, PATH_MAX, "%s/%s", runtime_dir, RUNDIR_USER);

	return len < PATH_MAX ? 0 : -ENOENT;
}

/* The places in question, the likeliest first. Return: 0, -ENOENT where there is none, -ERANGE after the last. */
static int place(int number, const struct vm *vm, char ret_path[PATH_MAX])
{
	char value[PATH_MAX];
	const char *own;

	switch (number) {
	case 0:
		return proc_environment(vm->pid, "CPRSHIM_RUNDIR", ret_path) ? -ENOENT : 0;
	case 1:
		strcpy(ret_path, RUNDIR_DEFAULT);
		return 0;
	case 2:
		own = getenv("XDG_RUNTIME_DIR");
		return own ? user_rundir(own, ret_path) : -ENOENT;
	case 3:
		return proc_environment(vm->pid, "XDG_RUNTIME_DIR", value) ? -ENOENT : user_rundir(value, ret_path);
	default:
		return -ERANGE;
	}
}

/**
 * rundir_named() - the directory that the caller has named
 * @rundir: --rundir, or NULL
 *
 * Return: it, else CPRSHIM_RUNDIR of our environment, else NULL.
 */
const char *rundir_named(const char *rundir)
{
	return rundir ? rundir : getenv("CPRSHIM_RUNDIR");
}

/**
 * rundir_connect() - connect to a VM's control socket
 * @vm:	    the VM
 * @rundir: where its socket is; NULL: CPRSHIM_RUNDIR of ours, else of the VM, else the default places
 * @ret_fd: the connection, non-blocking; the VM's process is at its other end
 *
 * Return: 0, -EREMCHG where another process listens there, or negative errno.
 */
int rundir_connect(const struct vm *vm, const char *rundir, int *ret_fd)
{
	char path[PATH_MAX];
	int err, best = -ENOENT;

	rundir = rundir_named(rundir);
	if (rundir)
		return connect_in(rundir, vm, ret_fd);
	for (int i = 0; (err = place(i, vm, path)) != -ERANGE; i++) {
		if (err)
			continue;
		err = connect_in(path, vm, ret_fd);
		if (!err)
			return 0;
		/* of all reasons, that there is nothing tells least */
		if (best == -ENOENT)
			best = err;
	}
	return best;
}
