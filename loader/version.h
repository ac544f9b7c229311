/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* version.h - QEMU's versions, as numbers. */
#ifndef CPRSHIM_LOADER_VERSION_H
#define CPRSHIM_LOADER_VERSION_H

int version_number(const char *version);

#endif
