/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shape.h - has the VM the same devices, memory and descriptors as it had when an earlier CPR state of it was written?
 *
 * A successor that is brought up beside the VM (loader/transfer.h) is made after the first of two states and gets what
 * has moved on since by the second. What it cannot follow any more, it must not be given.
 */
#ifndef CPRSHIM_STATE_SHAPE_H
#define CPRSHIM_STATE_SHAPE_H

#include "cprstate.h"

const char *shape_differs(const struct cprstate *a, const struct cprstate *b);

#endif
