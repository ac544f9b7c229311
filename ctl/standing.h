/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* standing.h - a guest that stands still after an update that failed, until its guardian can start the old QEMU. */
#ifndef CPRSHIM_CTL_STANDING_H
#define CPRSHIM_CTL_STANDING_H

#include <stddef.h>

#include "proc.h"

int standing_read(pid_t pid, const struct proc_id *id, char *ret_text, size_t size);

#endif
