/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit_json.h - what an audit finds, as JSON. */
#ifndef CPRSHIM_CTL_AUDIT_JSON_H
#define CPRSHIM_CTL_AUDIT_JSON_H

#include <jansson.h>

#include "../audit/disasm.h"
#include "../audit/objects.h"

json_t *audit_json(const struct objects *objects, const struct disasm_api *api, const char *no_api);

#endif
