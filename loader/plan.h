/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan.h - what becomes of each open descriptor at an update.
 *
 * Preserved, or closed because the successor opens its own, or closed because nothing needs it (a line in the report),
 * or a blocker. The judge of what must be preserved is QEMU: its list of character devices says which sockets have a
 * client that would notice.
 */
#ifndef CPRSHIM_LOADER_PLAN_H
#define CPRSHIM_LOADER_PLAN_H

#include <jansson.h>
#include <stddef.h>

#include "../shim/decoy.h"
#include "../shim/inspect.h"
#include "netdevs.h"
#include "reasons.h"

enum plan_action {
	PLAN_CLOSE,    /* nothing needs it */
	PLAN_REOPEN,   /* the successor opens it anew, or makes its own */
	PLAN_PRESERVE, /* handed over */
	PLAN_BLOCK,    /* cannot be handed over, and cannot be done without */
};

/**
 * struct planned - one descriptor
 * @it:	    what it is
 * @action: what becomes of it
 * @parent: index in the plan of a client's listener, of a TPM's data channel's control channel, or -1
 * @chardev: it belongs to a character device of QEMU's
 * @frontends: of the multiplexer on that character device; 0 where there is none
 * @netdev: name of the network back end whose socket it is, or NULL
 * @fdset:   it is a member of a descriptor set
 * @from_fdset: it was opened through a descriptor set, and will be again
 * @given:   it was passed in, and is of something that is added again with its number
 * @named:   it was passed in under a name, and nobody has taken it
 * @partner: it leads to the other half of a device (loader/partners.h), which QEMU talks to until the exec: no decoy
 */
struct planned {
	struct inspected it;
	enum plan_action action;
	int parent;
	bool chardev;
	unsigned int frontends;
	const char *netdev;
	bool fdset;
	bool from_fdset;
	bool given;
	bool named;
	bool partner;
};

/**
 * struct plan - all of them
 * @fds, @count: by number
 * @stdio:  a character device is on stdin and stdout
 * @ringbufs: there are character devices that keep what is written to them
 * @fdsets: answer of query-fdsets
 * @netdevs: network back ends
 */
struct plan {
	struct planned *fds;
	size_t count;
	bool stdio;
	bool ringbufs;
	json_t *fdsets;
	struct netdevs netdevs;
};

int plan_make(struct plan *ret, const json_t *chardevs, json_t *fdsets, uint64_t deadline_ns, struct reasons *blockers);
void plan_text(const struct planned *p, char *ret, size_t size);
bool plan_has_packets(const struct planned *p);
void plan_check_version(const struct plan *plan, const char *version, struct reasons *reasons);
void plan_free(struct plan *plan);
json_t *plan_json(const struct plan *plan);

#endif
