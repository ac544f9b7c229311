/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * netdevs.h - QEMU's network back ends, as "info network" tells them; no QMP command does.
 *
 * Of interest are those over a socket: which of QEMU's sockets are theirs, and whether they are connected.
 */
#ifndef CPRSHIM_LOADER_NETDEVS_H
#define CPRSHIM_LOADER_NETDEVS_H

#include <stdbool.h>
#include <stddef.h>

#include "../shim/inspect.h"
#include "reasons.h"

#define NETDEVS_MAX 256

/**
 * struct netdev - one back end
 * @name: its id, or the name that QEMU gave it
 * @type: "stream", "tap", ...
 * @info: the rest of its line
 */
struct netdev {
	const char *name;
	const char *type;
	const char *info;
};

/**
 * struct netdevs - all of them
 * @text:  what their strings are in; malloc'ed
 * @list:  the back ends
 * @count: how many
 */
struct netdevs {
	char *text;
	struct netdev list[NETDEVS_MAX];
	size_t count;
};

int netdevs_query(struct netdevs *ret, uint64_t deadline_ns);
void netdevs_free(struct netdevs *netdevs);
const struct netdev *netdevs_of_socket(const struct netdevs *netdevs, const struct inspected *it);
bool netdevs_has_socket(const struct netdev *netdev);
bool netdevs_connected(const struct netdevs *netdevs, const char *name);

#endif
