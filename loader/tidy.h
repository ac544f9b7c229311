/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tidy.h - in a successor, when the guest runs: what was held is given back, what only the update needed goes. */
#ifndef CPRSHIM_LOADER_TIDY_H
#define CPRSHIM_LOADER_TIDY_H

#include "reasons.h"

void tidy_release_holder(void);
void tidy_up(struct reasons *warnings);
void tidy_reap_holders(void);

#endif
