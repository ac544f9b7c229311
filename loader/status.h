/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* status.h - answers to the control socket's questions. */
#ifndef CPRSHIM_LOADER_STATUS_H
#define CPRSHIM_LOADER_STATUS_H

#include <jansson.h>

json_t *status_answer(void);
json_t *status_history(void);

#endif
