/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* first.h - a VMM that has just been started by its user. */
#ifndef CPRSHIM_LOADER_FIRST_H
#define CPRSHIM_LOADER_FIRST_H

char **first_start(char **argv, char **envp);
void first_log(void);
void first_lifecycle(void);

#endif
