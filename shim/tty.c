/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tty.c - original terminal settings; see tty.h. */
#include "tty.h"

#include "real.h"

static struct termios original[3];
static bool known[3];

/** tty_remember() - read the settings, before QEMU changes them */
void tty_remember(void)
{
	for (int fd = 0; fd < 3; fd++)
		known[fd] = !real(tcgetattr)(fd, &original[fd]);
}

/** tty_restore_memory() - in a successor: what was remembered at first start; @fd is 0 to 2 */
void tty_restore_memory(int fd, const struct termios *term)
{
	original[fd] = *term;
	known[fd] = true;
}

/**
 * tty_original() - what the settings were
 * @fd:	 any descriptor
 * @ret: where they go
 *
 * Return: false where @fd is not 0 to 2, or was no terminal.
 */
bool tty_original(int fd, struct termios *ret)
{
	if (fd < 0 || fd > 2 || !known[fd])
		return false;
	*ret = original[fd];
	return true;
}
