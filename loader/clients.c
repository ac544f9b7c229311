/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* clients.c - clients' and devices' descriptors around the load; see clients.h. */
#include "clients.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "../shim/preserved.h"
#include "argv.h"
#include "chardevs.h"
#include "clock.h"
#include "monitors.h"
#include "preflight.h"
#include "vm.h"

/* How long a client may take to connect to its decoy, which is there at once. */
#define CONNECT_MS 1000

/**
 * clients_accepted() - wait until QEMU has accepted every client that lies in a decoy's queue
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 why not
 *
 * Return: 0, -ETIMEDOUT or -EIO.
 */
int clients_accepted(uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	for (size_t i = 0; i < preserved_count(); i++) {
		struct preserved *p = preserved_at(i);

		/* Each command is a round through the main loop, which accepts what is there. */
		while (p->kind == FDKIND_CLIENT && p->taken && !__atomic_load_n(&p->decoy.placed, __ATOMIC_ACQUIRE)) {
			if (clock_now() > deadline_ns) {
				snprintf(error, QMP_ERROR_MAX, "a client of descriptor %d was not accepted", p->number);
				return -ETIMEDOUT;
			}
			if (qmp_do(&qmp_private, "query-status", NULL, deadline_ns, error))
				return -EIO;
		}
	}
	return 0;
}

/* packets_resume() has waited for those that have a name, a network back end's. */
static bool is_connected(const struct preserved *p, const json_t *chardevs)
{
	return p->kind != FDKIND_CONNECTION || *p->name || p->inherited || decoy_is_datagram(p->fd) ||
	       (__atomic_load_n(&p->decoy.placed, __ATOMIC_ACQUIRE) && chardevs_connected(p->decoy.number, chardevs));
}

/**
 * clients_connected() - wait until QEMU, where it is a client, has connected to its servers' decoys
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * A client that connects again by itself does so in a thread (chardev/char-socket.c:tcp_chr_connect_client_async).
 * Until it has, what the guest sends is dropped. One that does not is said to be left over, later on.
 */
void clients_connected(uint64_t deadline_ns)
{
	uint64_t until = qmp_in_ms(CONNECT_MS);
	bool connected = !argv_mentions(vm.argv, "reconnect");

	while (!connected && clock_now() < until && clock_now() < deadline_ns) {
		json_t *chardevs = preflight_chardevs(deadline_ns);

		connected = true;
		for (size_t i = 0; i < preserved_count(); i++)
			connected &= is_connected(preserved_at(i), chardevs);
		json_decref(chardevs);
	}
}

/**
 * clients_hold_back() - let QEMU find no room to write to its clients' decoys
 *
 * A device sends what its state holds as soon as that is loaded; it waits until its client's real descriptor is there.
 */
void clients_hold_back(void)
{
	for (size_t i = 0; i < preserved_count(); i++) {
		struct preserved *p = preserved_at(i);
		bool sends = p->kind != FDKIND_LISTENER && p->kind != FDKIND_TAP && !monitors_is_one(p);

		if (p->decoy.placed && sends)
			decoy_fill(&p->decoy);
	}
}

/**
 * clients_switch() - put the real descriptor under each number but monitors' and listeners', which wait until the guest runs
 * @error: why not
 *
 * Return: 0 or a negative errno.
 */
int clients_switch(char error[QMP_ERROR_MAX])
{
	for (size_t i = 0; i < preserved_count(); i++) {
		struct preserved *p = preserved_at(i);

		if (!p->decoy.placed || monitors_is_one(p) || p->kind == FDKIND_LISTENER)
			continue;
		int rc = decoy_switch(&p->decoy);
		if (rc) {
			snprintf(error, QMP_ERROR_MAX, "descriptor %d: %s", p->decoy.number, strerror(-rc));
			return rc;
		}
	}
	return 0;
}
