/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * interrupts.h - interrupts of disks that QEMU itself loses when it stops the guest.
 *
 * Since 8.2 an I/O thread tells the main thread of a finished request by an eventfd, after it has taken the request out
 * of the count that "stop" waits for (util/defer-call.c, hw/virtio/virtio.c:virtio_notify_irqfd). If the main thread is
 * faster it closes the eventfd first (virtio_blk_stop_ioeventfd), and the guest waits for ever for a request that is
 * done. A plain "stop" and "cont" do that too; an update would blame itself on it.
 */
#ifndef CPRSHIM_LOADER_INTERRUPTS_H
#define CPRSHIM_LOADER_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "reasons.h"

void interrupts_check(uint64_t deadline_ns, struct reasons *reasons);
bool interrupts_at_risk(void);
int interrupts_repeat(uint64_t deadline_ns);

#endif
