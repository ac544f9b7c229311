/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stdout.h - what a successor prints while it comes up was printed when the VM was first started: "char device
 * redirected to ...", "VNC server running on ...". It is not shown again. (What it has to complain about goes to
 * stderr: rollback.h.)
 */
#ifndef CPRSHIM_LOADER_STDOUT_H
#define CPRSHIM_LOADER_STDOUT_H

void stdout_hold(void);
void stdout_is_up(void);
void stdout_release(void);
void stdout_give_back(void);

#endif
