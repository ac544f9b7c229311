/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vsocks.h - vsock sockets of QEMU's own.
 *
 * QEMU calls each character device that has a vsock connection "unknown" (chardev/char-socket.c,
 * qemu_chr_compute_filename()), so that only their number tells whether every connection is one of theirs.
 */
#ifndef CPRSHIM_LOADER_VSOCKS_H
#define CPRSHIM_LOADER_VSOCKS_H

#include <jansson.h>

#include "plan.h"
#include "reasons.h"

void vsocks_check(const struct plan *plan, const json_t *chardevs, struct reasons *blockers);

#endif
