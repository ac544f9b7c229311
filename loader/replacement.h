/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* replacement.h - the QEMU that an update leads to, and the one that a failed update leads back to: found, and tried. */
#ifndef CPRSHIM_LOADER_REPLACEMENT_H
#define CPRSHIM_LOADER_REPLACEMENT_H

#include <jansson.h>
#include <stdbool.h>

#include "reasons.h"
#include "update.h"
#include "vm.h"

void replacement_check(const struct update_request *request, struct vm_binary *ret, char *ret_script[2], bool may_try,
		       json_t **ret_about, struct reasons *reasons);
void replacement_check_way_back(struct vm_binary *ret, bool may_try, struct reasons *reasons);

void replacement_elsewhere(const char *where, struct vm_binary *ret);

#endif
