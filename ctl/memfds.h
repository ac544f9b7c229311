/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* memfds.h - memfds that a VMM holds, found from outside. */
#ifndef CPRSHIM_CTL_MEMFDS_H
#define CPRSHIM_CTL_MEMFDS_H

#include <stdbool.h>
#include <sys/types.h>

int memfds_create(const char *name);
int memfds_open(pid_t pid, const char *name, bool (*is_it)(int fd, const void *opaque), const void *opaque,
		int *ret_fd);

#endif
