/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migparams.h - migration capabilities and parameters, which managers set once and rely on.
 *
 * They are in no stream: a successor starts with QEMU's defaults, and an update itself needs two of the capabilities.
 */
#ifndef CPRSHIM_LOADER_MIGPARAMS_H
#define CPRSHIM_LOADER_MIGPARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "qmp.h"
#include "reasons.h"

char *migparams_capabilities(uint64_t deadline_ns);
char *migparams_parameters(uint64_t deadline_ns);
void migparams_restore(const char *capabilities, const char *parameters, uint64_t deadline_ns,
		       struct reasons *warnings);
int migparams_for_load(bool on, uint64_t deadline_ns, char error[QMP_ERROR_MAX]);

#endif
