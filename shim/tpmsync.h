/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tpmsync.h - what a program that has ended leaves on the connections to a TPM emulator.
 *
 * Both are kept from one QEMU to the next (tpm.h). One that ends between a command and its answer leaves the answer
 * there, and the next would take it for that to its own first command.
 */
#ifndef CPRSHIM_SHIM_TPMSYNC_H
#define CPRSHIM_SHIM_TPMSYNC_H

int tpmsync_run(int control, int data);

#endif
