/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cgroupfs.h - where cgroups are in the file system (cgroups(7)): text in, paths out. No system calls, no allocation. */
#ifndef CPRSHIM_STATE_CGROUPFS_H
#define CPRSHIM_STATE_CGROUPFS_H

#include <stdbool.h>
#include <stddef.h>

bool cgroupfs_lists(const char *words, const char *word);
bool cgroupfs_has_line(const char *text, const char *line, size_t len);
bool cgroupfs_find(const char *mountinfo, const char *name, const char *place, char *ret, size_t size,
		   size_t *ret_mount);
bool cgroupfs_thread_file(const char *mountinfo, const char *line, char *ret, size_t size);

#endif
