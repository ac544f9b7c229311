/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chardevs.h - which character device has which descriptor?
 *
 * QEMU names neither descriptors nor, of a character device, more than what query-chardev calls its file name: where it
 * listens, where its client is connected, its terminal.
 */
#ifndef CPRSHIM_LOADER_CHARDEVS_H
#define CPRSHIM_LOADER_CHARDEVS_H

#include <jansson.h>
#include <stdbool.h>

#include "../shim/inspect.h"

bool chardevs_named(const json_t *chardevs, const char *text, bool server);
bool chardevs_is(const json_t *chardevs, const char *file_name);
bool chardevs_is_abstract(int fd);
const json_t *chardevs_connected(int fd, const json_t *chardevs);
const json_t *chardevs_of(const struct inspected *it, const json_t *chardevs);

#endif
