/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* policyfile.h - the host's cprshim.conf (state/policy.h). */
#ifndef CPRSHIM_CTL_POLICYFILE_H
#define CPRSHIM_CTL_POLICYFILE_H

#include "../state/policy.h"

/* Room for what is wrong with the file. */
#define POLICYFILE_WHY 256

int policyfile_read(struct policy *ret, char ret_why[POLICYFILE_WHY]);

#endif
