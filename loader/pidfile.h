/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pidfile.h - the file of -pidfile, when the guest has come to another process.
 *
 * While the two stand side by side it is the running one's: it has a lock on it, and its process id is in it. So a
 * successor is started without the option, and what QEMU would do is done for it afterwards.
 */
#ifndef CPRSHIM_LOADER_PIDFILE_H
#define CPRSHIM_LOADER_PIDFILE_H

#include <stdint.h>

int pidfile_take(uint64_t deadline_ns);
void pidfile_remove(void);

#endif
