/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* installed.h - the files that belong to cprctl, wherever it lies. */
#ifndef CPRSHIM_CTL_INSTALLED_H
#define CPRSHIM_CTL_INSTALLED_H

int installed_find(const char *folder, const char *name, char **ret_path);

#endif
