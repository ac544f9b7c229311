/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* receive.h - wait for a guest, and become the QEMU that takes it. */
#ifndef CPRSHIM_CTL_RECEIVE_H
#define CPRSHIM_CTL_RECEIVE_H

int receive_guest(const char *path, const char *program, char **argv);

#endif
