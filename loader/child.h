/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* child.h - the end of a child process of ours. */
#ifndef CPRSHIM_LOADER_CHILD_H
#define CPRSHIM_LOADER_CHILD_H

#include <sys/types.h>

int child_wait(pid_t pid, int ms);
int child_watch(pid_t pid, int ms, int *ret_status);

#endif
