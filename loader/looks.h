/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* looks.h - what others see of the process stays as it was: its name and its command line. */
#ifndef CPRSHIM_LOADER_LOOKS_H
#define CPRSHIM_LOADER_LOOKS_H

#include <stddef.h>

void looks_restore(char **exec_argv, size_t shown);

#endif
