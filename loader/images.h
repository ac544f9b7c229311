/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * images.h - the block nodes of a guest that does not run.
 *
 * Saving the devices' state makes QEMU let go of its images (inactive nodes). "cont" takes them back; for a guest that
 * stays paused we do, as a paused guest's images are active: a write by a monitor command, or a second save, ends QEMU
 * 7.2 with an assertion otherwise.
 */
#ifndef CPRSHIM_LOADER_IMAGES_H
#define CPRSHIM_LOADER_IMAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "reasons.h"

/* Pause before the images are asked for again, which another process may have locked. */
#define IMAGES_RETRY_NS 10000000

bool images_can_activate(void);
int images_activate(uint64_t deadline_ns, uint64_t until_ns);
void images_foresee_check(void);
int images_check_inactive(uint64_t deadline_ns, struct reasons *reasons);

#endif
