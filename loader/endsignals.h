/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * endsignals.h - SIGTERM, SIGINT and SIGHUP while the guest goes from one process to another.
 *
 * They are how a VM is told to end, and must reach the QEMU that has the guest: QEMU's own handler would shut down the program
 * that has just given it away, which removes the sockets and the pidfile of the other. Those that the VM ignores stay so.
 */
#ifndef CPRSHIM_LOADER_ENDSIGNALS_H
#define CPRSHIM_LOADER_ENDSIGNALS_H

#include <sys/types.h>

void endsignals_hold(void);
void endsignals_release(void);
void endsignals_pass(pid_t to);

#endif
