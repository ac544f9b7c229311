/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* lifecycle.c - hands the moments in QEMU's life on to the loader; see lifecycle.h. */
#include "lifecycle.h"

#include <stddef.h>

static const struct lifecycle *registered;

/** lifecycle_register() - say who is told; @ops lives as long as the process */
void lifecycle_register(const struct lifecycle *ops)
{
	registered = ops;
}

/** lifecycle_main_loop_ready() - for the hook of signalfd() */
void lifecycle_main_loop_ready(void)
{
	if (registered)
		registered->main_loop_ready();
}

/** lifecycle_exiting() - for the hooks of exit(), abort() and theirs */
void lifecycle_exiting(const char *how, int status)
{
	if (registered)
		registered->exiting(how, status);
}
