/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vhosts.c - the kernel's vhost devices over an update; see vhosts.h. */
#include "vhosts.h"

#include <string.h>

#include "../shim/vhost.h"

/**
 * vhosts_plan() - what becomes of a vhost device
 * @it:	      its descriptor
 * @given:    QEMU was given it by number, or by a name
 * @blockers: why it cannot be handed over
 *
 * A network's that was given by number can change its owner. All others are opened anew, by the old QEMU too where the
 * update fails: where that is not allowed there is no way back.
 */
enum plan_action vhosts_plan(const struct inspected *it, bool given, struct reasons *blockers)
{
	enum vhost_model model = vhost_model(it->fd);

	if (model == VHOST_OTHER) {
		reasons_add(blockers, BLOCKER_VHOST, "descriptor %d (%s) is a vhost device of another kind", it->fd,
			    it->link);
		return PLAN_BLOCK;
	}
	int rc = given && model == VHOST_NET ? 0 : vhost_try(it->fd);
	if (rc) {
		reasons_add(blockers, BLOCKER_VHOST_OPEN, "%s cannot be opened again: %s", it->link, strerror(-rc));
		return PLAN_BLOCK;
	}
	return given ? PLAN_PRESERVE : PLAN_REOPEN;
}

/**
 * vhosts_warn() - what an update of these devices does not have
 * @plan:     the plan
 * @warnings: one sentence each
 *
 * A device whose owner is dead can be taken from it by nobody: it can only be opened anew.
 */
void vhosts_warn(const struct plan *plan, struct reasons *warnings)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];

		if (p->it.kind == FDKIND_VHOST && p->action == PLAN_PRESERVE && !p->named && vhost_try(p->it.fd))
			reasons_note(
				warnings,
				"%s may not be opened by this process: a new QEMU that is killed before it runs the "
				"guest takes it along",
				p->it.link);
	}
}

/**
 * vhosts_keep() - have a descriptor that a state names go through the exec
 * @e:	 the exec
 * @rec: the descriptor, of whatever kind
 */
void vhosts_keep(struct execution *e, const struct cpr_fd *rec)
{
	execute_keep(e, rec->fd);
	if (rec->kind == FDKIND_VHOST && e->vhost_count < EXECUTE_VHOST)
		e->vhost[e->vhost_count++] = (struct vhost_handed){ .fd = rec->fd, .number = rec->number };
}
