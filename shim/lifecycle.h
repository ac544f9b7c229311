/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lifecycle.h - the moments in QEMU's life that the loader acts on.
 *
 * Hooks see them; what happens then is the loader's business, which it registers here, so that nothing under shim/
 * knows it.
 */
#ifndef CPRSHIM_SHIM_LIFECYCLE_H
#define CPRSHIM_SHIM_LIFECYCLE_H

#include <stdbool.h>

/**
 * struct lifecycle - what the loader wants to be told
 * @main_loop_ready:   QEMU is past its forks: threads may be made. On the main thread
 * @exiting: the process is about to exit or abort; @how is "exit", "_exit" or "abort". Returns only if it may
 */
struct lifecycle {
	void (*main_loop_ready)(void);
	void (*exiting)(const char *how, int status);
};

void lifecycle_register(const struct lifecycle *ops);
void lifecycle_main_loop_ready(void);
void lifecycle_exiting(const char *how, int status);

#endif
