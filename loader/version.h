/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* version.h - QEMU's versions, as numbers. */
#ifndef CPRSHIM_LOADER_VERSION_H
#define CPRSHIM_LOADER_VERSION_H

#include <stdbool.h>

int version_number(const char *version);
bool version_is_known(const char *version);

#endif
