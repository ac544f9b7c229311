/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * inspect.h - what the kernel says is open, with what the table knows of it.
 *
 * The kernel is the judge: a descriptor without a record (libc's own, io_uring's) is classified by what it is, and a
 * record whose object is not the one that is open is set aside.
 */
#ifndef CPRSHIM_SHIM_INSPECT_H
#define CPRSHIM_SHIM_INSPECT_H

#include <stddef.h>

#include "../state/fdtable.h"

#define INSPECT_LINK 256

/**
 * struct inspected - one open descriptor
 * @fd:	  its number
 * @kind: what it is
 * @recorded: @rec is the table's record of this very object
 * @rec:  the record; zeroed where there is none
 * @link: target of /proc/self/fd/N, truncated
 */
struct inspected {
	int fd;
	enum fdkind kind;
	int recorded;
	struct fdrec rec;
	char link[INSPECT_LINK];
};

int inspect_each(void (*fn)(int fd, void *opaque), void *opaque);
int inspect_descriptors(struct inspected **ret, size_t *ret_count);

#endif
