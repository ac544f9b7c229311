/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* addr.h - a record's detail as text. */
#ifndef CPRSHIM_CTL_ADDR_H
#define CPRSHIM_CTL_ADDR_H

#include <stdio.h>

#include "state/fdtable.h"

char *addr_detail(const struct fdrec *rec);

#endif
