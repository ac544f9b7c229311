/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fault.h - make an update fail at a named place, to show that the guest survives it.
 *
 * CPRSHIM_FAULT, read when the VM is started, names one place; without it each question costs one comparison. On the
 * way back to the old binary nothing fails any more, and in a rehearsal only what is called "rehearsal-...".
 */
#ifndef CPRSHIM_LOADER_FAULT_H
#define CPRSHIM_LOADER_FAULT_H

#include <stdbool.h>

bool fault_at(const char *place);
void fault_program(const char *place);

#endif
