/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* confined.h - what the host's security modules (AppArmor, SELinux) have this process confined by. */
#ifndef CPRSHIM_LOADER_CONFINED_H
#define CPRSHIM_LOADER_CONFINED_H

const char *confined_hint(const char *said);

#endif
