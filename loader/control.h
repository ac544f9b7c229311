/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control.h - the control socket (docs/control-protocol.md), on the service thread. */
#ifndef CPRSHIM_LOADER_CONTROL_H
#define CPRSHIM_LOADER_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

void control_open(void);
void control_move(pid_t from);
void control_adopt(int fd, const char *socket_path, int waiting);
void control_ended(void);
int control_listener(void);
const char *control_path(void);
const char *control_links_dir(pid_t pid);
void control_serve(void);
void control_refuse_waiting(void);
void control_progress(int fd, const char *stage, const char *text);
void control_finish(int fd, json_t *result);
void control_remove(void);

#endif
