/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm.c - a VM under the shim, found by its PID. */
#include "vm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "standing.h"
#include "text.h"
#include "vmtable.h"

/**
 * vm_gone() - has the process ended?
 * @vm:		the VM
 * @timeout_ms:	how long to wait for it
 *
 * The last thread's end counts; that nobody has waited for the process yet does not matter.
 */
bool vm_gone(const struct vm *vm, int timeout_ms)
{
	struct pollfd p = { .fd = vm->pidfd, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static int look(struct vm *vm)
{
	int err = proc_identify(vm->pid, &vm->id);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	if (geteuid() && geteuid() != vm->id.uid)
		return -EPERM;
	vm->table_err = vmtable_open(vm->pid, vm->id.inner_pid, &vm->table_fd);
	/*
	 * A VMM that changed its user is closed to that user in /proc. Whether it is under the shim shows at the
	 * control socket then, which nobody can have in its place.
	 */
	if (vm->table_err && vm->table_err != -EACCES)
		return vm->table_err;
	return vm_gone(vm, 0) ? -ESRCH : 0;
}

/**
 * vm_find() - look at a process
 * @pid:    any number
 * @ret_vm: the VM, for vm_close()
 *
 * Return: 0, -ESRCH where there is no such process, -EPERM where it is another user's, -ENOENT where it is not under
 * the shim, or negative errno. The id in @ret_vm is filled in wherever it is known.
 */
int vm_find(pid_t pid, struct vm *ret_vm)
{
	int err;

	*ret_vm = (struct vm){ .pid = pid, .table_fd = -1 };
	ret_vm->pidfd = pidfd_open(pid, 0);
	if (ret_vm->pidfd < 0)
		/* EINVAL: a thread's number */
		return errno == EINVAL ? -ESRCH : -errno;
	err = look(ret_vm);
	if (err)
		vm_close(ret_vm);
	return err;
}

/**
 * vm_open() - the same, and say it on standard error where it fails
 * @pid:    any number
 * @ret_vm: the VM, for vm_close()
 *
 * Return: 0, or negative errno.
 */
int vm_open(pid_t pid, struct vm *ret_vm)
{
	int err = vm_find(pid, ret_vm);
	char text[4096];

	switch (err) {
	case 0:
		break;
	case -ESRCH:
		text_error("there is no process %d", pid);
		break;
	case -EPERM:
		text_error("process %d (%s) belongs to another user", pid, ret_vm->id.comm);
		break;
	case -ENOENT:
		if (standing_read(pid, &ret_vm->id, text, sizeof(text)))
			snprintf(text, sizeof(text), "it is not a VM under the shim");
		text_error("process %d (%s): %s", pid, ret_vm->id.comm, text);
		break;
	default:
		text_error("cannot look at process %d: %s", pid, strerror(-err));
	}
	return err;
}

/**
 * vm_close() - let go of a VM
 * @vm: the VM
 */
void vm_close(const struct vm *vm)
{
	close(vm->pidfd);
	if (vm->table_fd >= 0)
		close(vm->table_fd);
}
