/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* needs.h - what a QEMU binary would look for in vain: libraries and modules, by name. */
#ifndef CPRSHIM_LOADER_NEEDS_H
#define CPRSHIM_LOADER_NEEDS_H

#include "reasons.h"
#include "vm.h"

bool needs_libraries(const struct vm_binary *binary, struct reasons *reasons);
void needs_modules(const struct vm_binary *binary, struct reasons *reasons);

#endif
