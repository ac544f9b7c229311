/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* installed.c - the files that belong to cprctl, wherever it lies. */
#include "installed.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proc.h"

/* Return: the file, for free(), NULL where there is none. */
static char *file_in(const char *dir, const char *sub, const char *name)
{
	char *path;

	if (asprintf(&path, "%s/%s%s", dir, sub, name) < 0)
		return NULL;
	if (!access(path, R_OK))
		return path;
	free(path);
	return NULL;
}

/**
 * installed_find() - find a library that belongs to cprctl
 * @folder:   where it is installed under the libraries' folder: "" or ending in a slash
 * @name:     its name
 * @ret_path: its path, for free()
 *
 * In the build tree the file of the same build counts, even where another one is installed.
 *
 * Return: 0 or -ENOENT.
 */
int installed_find(const char *folder, const char *name, char **ret_path)
{
	char exe[PATH_MAX], beside[32];
	char *path = NULL;

	if (!proc_exe(getpid(), exe) && strrchr(exe, '/')) {
		*strrchr(exe, '/') = '\0';
		path = file_in(exe, ".libs/", name);
	} else {
		exe[0] = '\0';
	}
#ifdef PKGLIBDIR
	if (!path)
		path = file_in(PKGLIBDIR, folder, name);
#endif
	snprintf(beside, sizeof(beside), "../lib/%s", folder);
	if (!path && *exe)
		path = file_in(exe, beside, name);
	if (!path)
		return -ENOENT;
	*ret_path = path;
	return 0;
}
