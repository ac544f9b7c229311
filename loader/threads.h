/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * threads.h - affinity, scheduling and cgroup of vCPU and I/O threads, which managers set from outside.
 *
 * A successor's threads begin with what its main thread has. Each is found again by its role: a vCPU by its index, an
 * I/O thread by its id.
 */
#ifndef CPRSHIM_LOADER_THREADS_H
#define CPRSHIM_LOADER_THREADS_H

#include <jansson.h>
#include <stdint.h>

#include "../state/cprstate.h"
#include "reasons.h"

void threads_save(struct codec_writer *w, uint64_t deadline_ns);
void threads_restore(const struct cprstate *state, bool may_set, uint64_t deadline_ns, struct reasons *warnings);
json_t *threads_unplaced(void);

#endif
