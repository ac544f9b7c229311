/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * warm.h - what QEMU will use for the first time when the guest stands still is made to be there already.
 *
 * Code that was never run may even have to be read from the disk. With the heap it is some 300 page faults, which took half of
 * the time in which a new QEMU loads the state of a small machine's devices.
 */
#ifndef CPRSHIM_LOADER_WARM_H
#define CPRSHIM_LOADER_WARM_H

void warm_program(void);
void warm_heap(void);
void warm_end(void);

#endif
