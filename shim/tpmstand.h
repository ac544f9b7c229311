/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tpmstand.h - in a rehearsal: what stands for a TPM emulator, so that the real one sees nothing of it.
 *
 * It answers what a QEMU asks on its way up and while it loads its devices, always well, on both connections (tpm.h), from
 * a thread of its own: every command of the control channel that has an answer of fixed length, and any command to the
 * TPM with an error, by which QEMU sees that there is a TPM 2.0 (backends/tpm/tpm_util.c:tpm_util_test_tpmdev).
 */
#ifndef CPRSHIM_SHIM_TPMSTAND_H
#define CPRSHIM_SHIM_TPMSTAND_H

int tpmstand_start(int control, int data);

#endif
