/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memfd.h - the flags of every memfd of ours.
 *
 * From Linux 6.3 on one that is made without a word about execution is warned of in the kernel's log, and 6.3 to 6.5
 * refuse it with vm.memfd_noexec=2 (kernel commits 105ff5339f49, 202e14222fad). Older kernels say EINVAL to the word.
 */
#ifndef CPRSHIM_STATE_MEMFD_H
#define CPRSHIM_STATE_MEMFD_H

#define MEMFD_NOEXEC_SEAL 0x0008U /* MFD_NOEXEC_SEAL, which older headers do not have */

/* For those who include sys/mman.h. */
#define MEMFD_FLAGS_OLD (MFD_CLOEXEC | MFD_ALLOW_SEALING)
#define MEMFD_FLAGS	(MEMFD_FLAGS_OLD | MEMFD_NOEXEC_SEAL)

#endif
