/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit_print.h - what an audit found, for people. */
#ifndef CPRSHIM_CTL_AUDIT_PRINT_H
#define CPRSHIM_CTL_AUDIT_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

int audit_print(FILE *out, const json_t *answer, bool all);

#endif
