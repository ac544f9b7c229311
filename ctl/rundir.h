/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rundir.h - find a VM's control socket and connect to it. */
#ifndef CPRSHIM_CTL_RUNDIR_H
#define CPRSHIM_CTL_RUNDIR_H

#include "vm.h"

const char *rundir_named(const char *rundir);
int rundir_connect(const struct vm *vm, const char *rundir, int *ret_fd);

#endif
