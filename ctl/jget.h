/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* jget.h - members of a JSON object whose sender may have put anything there. */
#ifndef CPRSHIM_CTL_JGET_H
#define CPRSHIM_CTL_JGET_H

#include <jansson.h>

const char *jget_text(const json_t *object, const char *key);
const char *jget_text_or(const json_t *object, const char *key, const char *otherwise);
json_t *jget_new_text(const char *text);
int jget_print(const json_t *value);

#endif
