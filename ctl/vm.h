/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vm.h - a VM under the shim, found by its PID. */
#ifndef CPRSHIM_CTL_VM_H
#define CPRSHIM_CTL_VM_H

#include <stdbool.h>

#include "proc.h"

/**
 * struct vm - a VM under the shim
 * @pid:	its process
 * @pidfd:	the same for good: a PID may be used again
 * @id:		who it is
 * @table_fd:	its published table, or -1
 * @table_err:	why there is none: 0, or the negative errno of vmtable_open()
 */
struct vm {
	pid_t pid;
	int pidfd;
	struct proc_id id;
	int table_fd;
	int table_err;
};

int vm_find(pid_t pid, struct vm *ret_vm);
int vm_open(pid_t pid, struct vm *ret_vm);
bool vm_gone(const struct vm *vm, int timeout_ms);
void vm_close(const struct vm *vm);

#endif
