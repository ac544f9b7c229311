/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* program.h - what is exec'd to start a QEMU with a state, and how it finds its own arguments again. */
#ifndef CPRSHIM_LOADER_PROGRAM_H
#define CPRSHIM_LOADER_PROGRAM_H

#include "../state/cprstate.h"
#include "start.h"
#include "vm.h"

bool program_find_args(char *const exec_argv[], size_t *ret_own, size_t *ret_shown);
int program_make(struct program *ret, const struct vm_binary *binary, const char *variable);
void program_put(struct codec_writer *w, const struct vm_binary *target, const struct vm_binary *back);

#endif
