/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ramblocks.h - the guest's RAM blocks: named by QEMU, found in the recorded mappings. */
#ifndef CPRSHIM_LOADER_RAMBLOCKS_H
#define CPRSHIM_LOADER_RAMBLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "../state/cprstate.h"
#include "../state/ramblock.h"
#include "reasons.h"

int ramblocks_query(struct ramblock ret[RAMBLOCK_MAX], size_t *ret_count, uint64_t deadline_ns,
		    struct reasons *reasons);
void ramblocks_check(const struct ramblock *blocks, size_t count, struct reasons *reasons);
int ramblocks_copy(const struct ramblock *block);
int ramblocks_match(const struct cprstate *state, uint64_t deadline_ns, struct reasons *reasons);
int ramblocks_view(const struct cprstate *state, uint64_t deadline_ns, struct reasons *reasons);
void ramblocks_scribble(uint64_t deadline_ns);
void ramblocks_prepare(const struct cprstate *state, uint64_t until_ns);
int ramblocks_remap_matched(const struct cprstate *state, uint64_t deadline_ns, struct reasons *reasons);
int ramblocks_remap(const struct cprstate *state, uint64_t deadline_ns, struct reasons *reasons);
void ramblocks_release(const struct cprstate *state);

#endif
