/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmtable.h - the descriptor table that a VMM publishes (state/fdtable.h), read from outside. */
#ifndef CPRSHIM_CTL_VMTABLE_H
#define CPRSHIM_CTL_VMTABLE_H

#include <stddef.h>
#include <sys/types.h>

#include "state/fdtable.h"

int vmtable_open(pid_t pid, pid_t inner_pid, int *ret_fd);
int vmtable_read(int fd, struct fdtable *ret_table);
const char *vmtable_strerror(int err);

#endif
