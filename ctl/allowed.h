/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* allowed.h - may this replacement be asked for, by what cprshim.conf says (state/policy.h)? */
#ifndef CPRSHIM_CTL_ALLOWED_H
#define CPRSHIM_CTL_ALLOWED_H

#include <stdbool.h>

#include "ctl.h"

bool allowed_replacement(const struct options *opts);

#endif
