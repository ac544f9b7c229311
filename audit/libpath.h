/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libpath.h - where the dynamic loader would find a library. */
#ifndef CPRSHIM_AUDIT_LIBPATH_H
#define CPRSHIM_AUDIT_LIBPATH_H

#include "elfobject.h"

/**
 * struct libpath - what is looked for
 * @name:		the name by which a library is asked for
 * @library_path:	folders to look in first, as in LD_LIBRARY_PATH, or NULL
 * @obj:		the file that asks
 * @path:		its path
 * @program:		the program, for its DT_RPATH
 * @program_path:	its path
 */
struct libpath {
	const char *name, *library_path;
	const struct elfobject *obj;
	const char *path;
	const struct elfobject *program;
	const char *program_path;
};

typedef int (*libpath_fn)(const char *path, void *arg);

const char *libpath_multiarch(const struct elfobject *obj);
int libpath_each(const struct libpath *asking, libpath_fn fn, void *arg);

#endif
