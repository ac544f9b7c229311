/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdsets.h - in a successor: members of descriptor sets keep their numbers, which add-fd has told to whoever asked.
 *
 * They are given to QEMU by -add-fd, which puts a duplicate into the set and closes the number that it was given
 * (softmmu/vl.c:parse_add_fd, cleanup_add_fd). So that duplicate is the number itself, and that close does nothing.
 */
#ifndef CPRSHIM_SHIM_FDSETS_H
#define CPRSHIM_SHIM_FDSETS_H

#include <stdbool.h>

#define FDSETS_MAX 256

bool fdsets_give(int number);
bool fdsets_duplicate(int number);
bool fdsets_close(int number);

#endif
