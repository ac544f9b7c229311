/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mux.h - the monitor behind a serial line on the terminal (-nographic, -serial mon:stdio): it greets once in a VM's
 * life.
 */
#ifndef CPRSHIM_LOADER_MUX_H
#define CPRSHIM_LOADER_MUX_H

#include <stdint.h>

void mux_use_up_greeting(uint64_t deadline_ns);

#endif
