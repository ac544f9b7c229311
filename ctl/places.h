/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * places.h - the cgroups of a VM's threads, which its own user may not put them into.
 *
 * Managers give vCPUs and I/O threads cgroups of their own. The threads of the new QEMU begin where its first one is. What
 * the VM says is not believed: a thread is moved only where it is the VM's, and only into a cgroup that one of the VM's was in
 * before.
 */
#ifndef CPRSHIM_CTL_PLACES_H
#define CPRSHIM_CTL_PLACES_H

#include <jansson.h>

#include "vm.h"

json_t *places_note(const struct vm *vm);
void places_restore(const struct vm *vm, const json_t *before, json_t *result);

#endif
