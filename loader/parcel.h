/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * parcel.h - descriptors on their way through a command.
 *
 * Whatever a command starts besides QEMU (a script's "logger &") would inherit all that the exec keeps, and could hold a
 * tap or the guest's memory for as long as it lives. So for a command they wait in a socket's queue, and only that and
 * the two that the next program cannot do without go through the exec by themselves.
 */
#ifndef CPRSHIM_LOADER_PARCEL_H
#define CPRSHIM_LOADER_PARCEL_H

#include "execute.h"

int parcel_make(void);
int parcel_fill(struct execution *e, int parcel, const int direct[2]);
int parcel_take(const struct execution *wanted, int parcel, const int direct[2]);

#endif
