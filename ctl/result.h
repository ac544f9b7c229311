/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* result.h - an update's result (docs/control-protocol.md), for people. */
#ifndef CPRSHIM_CTL_RESULT_H
#define CPRSHIM_CTL_RESULT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

bool result_updated(const json_t *result);
void result_print(FILE *out, const json_t *result);
void result_print_blockers(FILE *out, const json_t *blockers);
void result_print_list(FILE *out, const char *indent, const json_t *list);
void result_time(const json_t *result, char *ret_buf, size_t size);
void result_blackout(const json_t *result, char *ret_buf, size_t size);

#endif
