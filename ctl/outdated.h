/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* outdated.h - does a VM run other files than those that are on disk by now? */
#ifndef CPRSHIM_CTL_OUTDATED_H
#define CPRSHIM_CTL_OUTDATED_H

#include <jansson.h>

#include "vm.h"

/* What stands behind the path of a file that is gone, or was replaced, in what the kernel says of a process. */
#define OUTDATED_DELETED " (deleted)"

bool outdated_cut(char *path);
json_t *outdated_program(const struct vm *vm, const char *path, bool *ret_same);
json_t *outdated_files(const struct vm *vm, const char *program);

#endif
