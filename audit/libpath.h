/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libpath.h - where the dynamic loader would find a library. */
#ifndef CPRSHIM_AUDIT_LIBPATH_H
#define CPRSHIM_AUDIT_LIBPATH_H

#include "elfobject.h"

typedef int (*libpath_fn)(const char *path, void *arg);

int libpath_each(const char *name, const struct elfobject *obj, const char *path, const struct elfobject *program,
		 const char *program_path, libpath_fn fn, void *arg);

#endif
