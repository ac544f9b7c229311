/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * slots.h - the shim's own descriptors.
 *
 * They live at high numbers, so that QEMU's are what they would be without us, and so that descriptors parked for a
 * successor never stand where it opens its own. QEMU's attempts to close one fail with EBADF.
 */
#ifndef CPRSHIM_SHIM_SLOTS_H
#define CPRSHIM_SHIM_SLOTS_H

#include <stdbool.h>
#include <sys/types.h>

void slots_setup(void);
int slots_park(int fd);
int slots_move(int fd);
int slots_memfd(const char *name);
int slots_memfd_huge(const char *name);
int slots_size_memfd(int fd, off_t size);
int slots_adopt(int fd);
int slots_close(int fd);
bool slots_owns(int fd);
void slots_give_up(int fd);

#endif
