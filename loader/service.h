/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service.h - the shim's one thread: it waits for SIGUSR2 and for requests on the control socket, and does the updates.
 *
 * All signals are blocked in it, and nothing that it opens is recorded in the table.
 */
#ifndef CPRSHIM_LOADER_SERVICE_H
#define CPRSHIM_LOADER_SERVICE_H

const char *service_prepare_monitor(void);
void service_catch_signal(void);
void service_refuse_signal(void);
void service_refuse_late(void);
void service_start(void);
void service_learn_version(void);

#endif
