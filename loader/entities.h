/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * entities.h - the devices, objects, back ends and block nodes that QEMU has, as one text to compare.
 *
 * Right after start the list is what the command line asked for; at an update it is what a successor must have. A
 * difference between the two is something that was plugged or changed at run time (loader/hotplug.h).
 */
#ifndef CPRSHIM_LOADER_ENTITIES_H
#define CPRSHIM_LOADER_ENTITIES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void entities_fn(const char *line, size_t len, void *opaque);

char *entities_query(uint64_t deadline_ns);
void entities_differ(const char *in, const char *other, entities_fn *fn, void *opaque);
char *entities_limits(const json_t *inserted);
bool entities_has_line(const char *list, const char *kind, const char *id, const char *more);
bool entities_has(const char *list, const char *kind, const char *id);

#endif
