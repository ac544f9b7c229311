/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rundir.h - where VMs have their control sockets: what the shim and cprctl must agree on. */
#ifndef CPRSHIM_STATE_RUNDIR_H
#define CPRSHIM_STATE_RUNDIR_H

#define RUNDIR_DEFAULT "/run/cprshim"
#define RUNDIR_USER    "cprshim" /* below XDG_RUNTIME_DIR, where the default cannot be written */
#define RUNDIR_SOCKET  "%d.sock" /* by process id, as the VM sees itself */

#endif
