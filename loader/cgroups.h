/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroups.h - the cgroups of this process: have they room for a second QEMU, and which are its threads in? */
#ifndef CPRSHIM_LOADER_CGROUPS_H
#define CPRSHIM_LOADER_CGROUPS_H

#include <stdint.h>
#include <sys/types.h>

#include "reasons.h"

/* What is kept of a thread's, in bytes with the end */
#define CGROUPS_TEXT 4096

void cgroups_check(uint64_t memory, uint64_t threads, struct reasons *reasons);
void cgroups_read_thread(pid_t tid, char ret[CGROUPS_TEXT]);
int cgroups_move_thread(pid_t tid, const char *wanted);

#endif
