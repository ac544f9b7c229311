/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* notify.h - tell the service manager how it stands with the VM (sd_notify(3)). */
#ifndef CPRSHIM_LOADER_NOTIFY_H
#define CPRSHIM_LOADER_NOTIFY_H

#include <jansson.h>

void notify_started(void);
void notify_updating(void);
void notify_moved(void);
void notify_result(const json_t *result);

#endif
