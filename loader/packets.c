/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* packets.c - in a successor: network back ends over sockets come up on their decoys; see packets.h. */
#include "packets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../shim/preserved.h"
#include "clock.h"
#include "netdevs.h"

static bool is_of_netdev(const struct preserved *p)
{
	return *p->name && (p->kind == FDKIND_CONNECTION || p->kind == FDKIND_CLIENT || p->kind == FDKIND_SOCKET);
}

/* The first back end that has not got its socket yet, or NULL. */
static const char *find_missing(const struct netdevs *netdevs)
{
	for (size_t i = 0; i < preserved_count(); i++) {
		const struct preserved *p = preserved_at(i);

		if (is_of_netdev(p) && (!p->taken || !netdevs_connected(netdevs, p->name)))
			return p->name;
	}
	return NULL;
}

/* QEMU connects and listens in threads (net/stream.c); each question is a round through the main loop. */
static int wait_for_sockets(uint64_t deadline, char error[QMP_ERROR_MAX])
{
	const char *missing;

	do {
		static struct netdevs netdevs;
		int rc = netdevs_query(&netdevs, deadline);

		missing = rc ? NULL : find_missing(&netdevs);
		netdevs_free(&netdevs);
		if (!rc && missing && clock_now() > deadline)
			rc = -ETIMEDOUT;
		if (rc) {
			snprintf(error, QMP_ERROR_MAX, "network back end %s did not take its socket",
				 missing ? missing : "?");
			return rc;
		}
	} while (missing);
	return 0;
}

/* What the old QEMU had read of a packet; the rest comes over the real connection. */
static int replay(struct preserved *p, uint64_t deadline, char error[QMP_ERROR_MAX])
{
	bool written = write(p->decoy.peer, p->partial, p->partial_len) == (ssize_t)p->partial_len;

	while (written && !decoy_consumed(&p->decoy)) {
		if (clock_now() > deadline || qmp_do(&qmp_private, "query-status", NULL, deadline, error))
			written = false;
	}
	if (!written)
		snprintf(error, QMP_ERROR_MAX, "network back end %s did not read its decoy", p->name);
	return written ? 0 : -EIO;
}

/**
 * packets_resume() - wait until every network back end has the socket it had, and has read what it had read
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 what went wrong
 *
 * Return: 0 or a negative errno.
 */
int packets_resume(uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	bool any = false;
	int rc = 0;

	for (size_t i = 0; i < preserved_count(); i++)
		any |= is_of_netdev(preserved_at(i));
	if (any)
		rc = wait_for_sockets(deadline_ns, error);
	for (size_t i = 0; !rc && i < preserved_count(); i++)
		if (is_of_netdev(preserved_at(i)) && preserved_at(i)->partial_len)
			rc = replay(preserved_at(i), deadline_ns, error);
	return rc;
}
