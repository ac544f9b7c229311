/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ringbufs.h - what character devices of type ringbuf hold.
 *
 * It is in QEMU's memory alone. Reading it takes it out (chardev/char-ringbuf.c), so that whatever was read is written
 * again, by this program or by the next.
 */
#ifndef CPRSHIM_LOADER_RINGBUFS_H
#define CPRSHIM_LOADER_RINGBUFS_H

#include <jansson.h>
#include <stdint.h>

#include "../state/cprstate.h"
#include "reasons.h"

int ringbufs_take(json_t **ret, uint64_t deadline_ns, struct reasons *reasons);
void ringbufs_put(struct codec_writer *w, const json_t *taken);
int ringbufs_give_back(json_t *taken, uint64_t deadline_ns);
int ringbufs_restore(const struct cprstate *state, uint64_t deadline_ns, char *error);

#endif
