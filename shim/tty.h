/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tty.h - settings of the terminal on descriptors 0 to 2, as they were when the VMM was first started. */
#ifndef CPRSHIM_SHIM_TTY_H
#define CPRSHIM_SHIM_TTY_H

#include <stdbool.h>
#include <termios.h>

void tty_remember(void);
void tty_restore_memory(int fd, const struct termios *term);
bool tty_original(int fd, struct termios *ret);

#endif
