/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * refused.h - options of QEMU's that cannot be updated yet, each with a sentence.
 *
 * What would be lost without a word at an update, or would harm, is named here; what is harmless is not.
 */
#ifndef CPRSHIM_LOADER_REFUSED_H
#define CPRSHIM_LOADER_REFUSED_H

#include <stdbool.h>

#include "reasons.h"

void refused_additions(char *const argv[], struct reasons *reasons);
void refused_option(const char *option, const char *value, struct reasons *reasons);
void refused_versions(const char *target, const char *from, const char *to, struct reasons *reasons);
void refused_options(char *const argv[], struct reasons *reasons);
bool refused_spawn(char *const argv[]);

#endif
