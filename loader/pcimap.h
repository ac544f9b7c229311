/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pcimap.h - where the PCI devices are in the guest's address spaces, for a QEMU that waits beside it.
 *
 * When devices are loaded, each BAR is mapped and each device's bus mastering is switched on by itself, and each time
 * QEMU builds its maps of memory anew, of all devices' address spaces (softmmu/memory.c:memory_region_transaction_commit):
 * with many devices that is most of a blackout. So a QEMU that waits is set up beforehand as firmware would do it: by
 * writes to the devices' configuration space. The load then finds everything where it belongs (hw/pci/pci.c:
 * pci_update_mappings) and changes nothing. It is loaded all the same: what has changed since is set right by it.
 */
#ifndef CPRSHIM_LOADER_PCIMAP_H
#define CPRSHIM_LOADER_PCIMAP_H

#include "../state/cprstate.h"

void pcimap_put(struct codec_writer *w, uint64_t deadline_ns);
void pcimap_restore(const struct cprstate *state, uint64_t deadline_ns);

#endif
