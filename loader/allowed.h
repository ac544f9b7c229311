/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* allowed.h - may this replacement be used, by what the host's administrator says (state/policy.h)? */
#ifndef CPRSHIM_LOADER_ALLOWED_H
#define CPRSHIM_LOADER_ALLOWED_H

#include "reasons.h"
#include "update.h"

void allowed_request(const struct update_request *request, struct reasons *reasons, struct reasons *warnings);
void allowed_file(const char *path, struct reasons *reasons);

#endif
