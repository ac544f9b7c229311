/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* replacement.h - the QEMU that an update leads to: which file or command that is. */
#ifndef CPRSHIM_LOADER_REPLACEMENT_H
#define CPRSHIM_LOADER_REPLACEMENT_H

#include "reasons.h"
#include "update.h"
#include "vm.h"

void replacement_find(const struct update_request *request, struct vm_binary *ret, char *ret_script[2],
		      struct reasons *reasons);

#endif
