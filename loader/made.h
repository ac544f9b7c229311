/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * made.h - what the options of a command line make, by kind and name, and a command line without some of it.
 *
 * Kinds are those of the list of entities (entities.h): "device", "network", "object", "character device", "block node",
 * "drive".
 */
#ifndef CPRSHIM_LOADER_MADE_H
#define CPRSHIM_LOADER_MADE_H

#include <stdbool.h>
#include <stddef.h>

bool made_has(char *const argv[], const char *kind, const char *id);
bool made_get(char *const argv[], const char *option, const char *id, const char *key, char *ret, size_t size);
bool made_is_cdrom(char *const argv[], const char *drive);
bool made_has_part(char *const argv[], const char *node);
size_t made_dangling(char *const argv[], bool (*is_removed)(const char *kind, const char *id), size_t from,
		     const char **ret_option, const char **ret_kind, char *ret_id, size_t size);
char **made_without(char *const argv[], bool (*is_removed)(const char *kind, const char *id),
		    bool (*has_value)(const char *kind, const char *id));

#endif
