/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * successor.h - from exec to a running guest: the state is adopted before main(), and handed to QEMU by the service
 * thread.
 */
#ifndef CPRSHIM_LOADER_SUCCESSOR_H
#define CPRSHIM_LOADER_SUCCESSOR_H

char **successor_adopt(int state_fd, char **exec_argv);
void successor_bring_up(void);

#endif
