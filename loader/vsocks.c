/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vsocks.c - vsock sockets of QEMU's own; see vsocks.h. */
#include "vsocks.h"

#include <string.h>

#include "address.h"

static size_t count_devices(const json_t *chardevs)
{
	const json_t *dev;
	size_t n = 0, i;

	json_array_foreach(chardevs, i, dev) {
		const char *name = json_string_value(json_object_get(dev, "filename"));

		n += name && !strcmp(name, "unknown");
	}
	return n;
}

/**
 * vsocks_check() - is every vsock socket one that a successor will ask for?
 * @plan:     the plan, decided
 * @chardevs: answer of query-chardev
 * @blockers: what is not known
 */
void vsocks_check(const struct plan *plan, const json_t *chardevs, struct reasons *blockers)
{
	size_t devices = count_devices(chardevs), connections = 0;

	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];

		if ((p->it.kind != FDKIND_CLIENT && p->it.kind != FDKIND_CONNECTION && p->it.kind != FDKIND_LISTENER) ||
		    p->named || !address_is_vsock(p->it.fd))
			continue;
		connections += p->chardev && p->it.kind != FDKIND_LISTENER;
		if (!p->chardev)
			reasons_add(blockers, BLOCKER_VSOCK,
				    "descriptor %d is a vsock socket, and of no character device", p->it.fd);
	}
	if (connections != devices)
		reasons_add(blockers, BLOCKER_VSOCK,
			    "%zu character devices may have a vsock connection, but %zu such connections are there",
			    devices, connections);
}
