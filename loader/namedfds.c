/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* namedfds.c - descriptors that monitors' clients have passed in, over an update; see namedfds.h. */
#include "namedfds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/preserved.h"
#include "../shim/session.h"
#include "carried.h"
#include "changes.h"
#include "fdnames.h"
#include "qmp.h"
#include "vhosts.h"

/* Something that was added has taken it, and is added again with its number. */
static bool plan_taken(struct planned *p, struct reasons *blockers, enum plan_action *ret)
{
	bool network = changes_uses_descriptor("network", p->it.fd);
	bool chardev = changes_uses_descriptor("character device", p->it.fd);

	*ret = PLAN_PRESERVE;
	switch (p->it.kind) {
	case FDKIND_VHOST:
		p->given = network || changes_uses_descriptor("device", p->it.fd);
		if (p->given)
			*ret = vhosts_plan(&p->it, true, blockers);
		break;
	case FDKIND_TAP:
		p->given = network;
		break;
	case FDKIND_LISTENER:
	case FDKIND_CONNECTION:
		p->given = chardev || (network && p->netdev);
		p->chardev = chardev;
		break;
	case FDKIND_SOCKET:
		p->given = network && p->netdev;
		break;
	default:
		break;
	}
	return p->given;
}

/**
 * namedfds_plan() - what becomes of a descriptor that came in a message
 * @p:	      the descriptor; marked as given or named
 * @blockers: why it cannot be handed over
 */
enum plan_action namedfds_plan(struct planned *p, struct reasons *blockers)
{
	enum plan_action action;
	struct fdname name;

	if (plan_taken(p, blockers, &action))
		return action;
	p->named = fdnames_get(p->it.fd, p->it.rec.seq, &name);
	if (p->named)
		return PLAN_PRESERVE;
	/* hw/virtio/vhost-user.c:vhost_user_get_inflight_fd */
	if (session_protocol(p->it.rec.parent) == SESSION_VHOST_USER)
		reasons_add(blockers, BLOCKER_VHOST_USER,
			    "descriptor %d (%s): a vhost-user back end that keeps its unfinished requests in memory of "
			    "its own (inflight)",
			    p->it.fd, p->it.link);
	else
		reasons_add(blockers, BLOCKER_DESCRIPTOR_RECEIVED,
			    "descriptor %d (%s) was passed in by a monitor's client, and what may have taken it is not "
			    "known",
			    p->it.fd, p->it.link);
	return PLAN_BLOCK;
}

/* Who is connected to a monitor, or NULL. */
static const struct planned *client_of(const struct plan *plan, int monitor)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];

		if (p->action != PLAN_PRESERVE || !p->chardev)
			continue;
		if (p->it.kind == FDKIND_CLIENT ? p->parent >= 0 && plan->fds[p->parent].it.fd == monitor
						: p->it.kind == FDKIND_CONNECTION && p->it.fd == monitor)
			return p;
	}
	return NULL;
}

static bool listens(const struct plan *plan, int monitor)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->fds[i].it.kind == FDKIND_LISTENER && plan->fds[i].it.fd == monitor)
			return plan->fds[i].action == PLAN_PRESERVE;
	return false;
}

/* Why a monitor of the new QEMU could not be given anything, or NULL. */
static const char *why_not(const struct plan *plan, int monitor)
{
	const struct planned *client = client_of(plan, monitor);
	struct session s = { .partial = NULL };

	if (!client)
		return listens(plan, monitor) ? NULL : "its monitor is not known any more";
	if (client->frontends)
		return "its monitor is behind a multiplexer";
	bool found = session_copy(client->it.fd, &s);
	free(s.partial);
	if (!found || (s.protocol != SESSION_HMP && (s.protocol != SESSION_QMP || !s.negotiated)))
		return "its monitor has a client that has not negotiated yet";
	return NULL;
}

/**
 * namedfds_check() - can each descriptor that nobody has taken be given to its monitor again?
 * @plan:     the plan, decided
 * @blockers: those that cannot
 */
void namedfds_check(const struct plan *plan, struct reasons *blockers)
{
	struct fdname name;

	for (size_t i = 0; i < plan->count; i++) {
		const struct inspected *it = &plan->fds[i].it;

		if (!plan->fds[i].named)
			continue;
		const char *why = fdnames_get(it->fd, it->rec.seq, &name) ? why_not(plan, name.monitor)
									  : "it has just been taken";
		if (why)
			reasons_add(blockers, BLOCKER_DESCRIPTOR_RECEIVED,
				    "descriptor %d (%s) was passed in by a monitor's client: %s", it->fd, it->link,
				    why);
	}
}

/**
 * namedfds_put() - write those that nobody has taken into the state
 * @h:	  the handover
 * @plan: the plan
 *
 * Return: 0 or a negative errno.
 */
int namedfds_put(struct handover *h, const struct plan *plan)
{
	struct fdname name;

	for (size_t i = 0; i < plan->count; i++) {
		const struct inspected *it = &plan->fds[i].it;

		if (!plan->fds[i].named)
			continue;
		if (!fdnames_get(it->fd, it->rec.seq, &name))
			return -ENOENT;
		const struct planned *client = client_of(plan, name.monitor);
		struct cpr_fdname rec = { .monitor = client ? client->it.fd : name.monitor,
					  .fd = carried_park(h, it->fd),
					  .hmp = name.hmp,
					  .name = name.name };
		if (rec.fd < 0)
			return rec.fd;
		cprstate_put_fdname(&h->w, &rec);
	}
	return 0;
}

struct passing {
	uint64_t deadline;
	char *error;
	int rc;
};

static void pass_one(json_t *holder, const char *name, void *opaque)
{
	struct passing *p = opaque;
	size_t prefix = strlen(FDNAMES_PREFIX);

	(void)holder;
	if (p->rc || strncmp(name, FDNAMES_PREFIX, prefix) != 0)
		return;
	int number = atoi(name + prefix);
	preserved_pass(number);
	p->rc = qmp_getfd(&qmp_private, name, number, p->deadline, p->error);
}

/**
 * namedfds_pass() - in a successor: pass in what a command takes by a name
 * @arguments:	 the command's
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 QMP_ERROR_MAX bytes
 *
 * Return: 0 or a negative errno.
 */
int namedfds_pass(const json_t *arguments, uint64_t deadline_ns, char *error)
{
	struct passing p = { .deadline = deadline_ns, .error = error };

	fdnames_each_address(arguments, pass_one, &p);
	return p.rc;
}
