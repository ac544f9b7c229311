/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* descriptors.h - a VM's descriptor table, for people and as JSON. */
#ifndef CPRSHIM_CTL_DESCRIPTORS_H
#define CPRSHIM_CTL_DESCRIPTORS_H

#include <jansson.h>

#include "state/fdtable.h"

int descriptors_print(const struct fdtable *table, const json_t *plan);
json_t *descriptors_json(const struct fdtable *table);

#endif
