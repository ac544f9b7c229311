/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* guestcpu.h - what a successor must be told of the guest's processors, since the saved state does not say it. */
#ifndef CPRSHIM_LOADER_GUESTCPU_H
#define CPRSHIM_LOADER_GUESTCPU_H

#include <stddef.h>
#include <stdint.h>

#include "reasons.h"

uint32_t guestcpu_page_bits(void);
void guestcpu_check(const char *target, struct reasons *reasons);
void guestcpu_pin(const char *default_type, char *ret, size_t size);

#endif
