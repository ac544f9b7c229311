/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wire.h - what QEMU wrote on a monitor's decoy, line by line, without the events that an update causes. */
#ifndef CPRSHIM_LOADER_WIRE_H
#define CPRSHIM_LOADER_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../shim/decoy.h"

struct wire {
	char *data; /* malloc'ed */
	size_t len;
};

int wire_read(struct wire *w, struct decoy *d);
bool wire_take(struct wire *w, const char *mark);
void wire_drop_events(struct wire *w, const char *const names[]);
int wire_send(struct wire *w, int fd);
int wire_flush(struct wire *w, int fd, uint64_t until_ns);
void wire_free(struct wire *w);

#endif
