/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit.h - a line in the host's log for everything that is done to a VM. */
#ifndef CPRSHIM_LOADER_AUDIT_H
#define CPRSHIM_LOADER_AUDIT_H

#include <jansson.h>
#include <sys/types.h>

void audit_asked_on(int fd);
void audit_asked_by_signal(pid_t pid, uid_t uid);
void audit_result(const json_t *result);
void audit_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
