/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* method.c - which method an update takes; see method.h. */
#include "method.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../shim/settings.h"
#include "transfer.h"
#include "vm.h"

static const char *const known[] = { "auto", "exec", "transfer", "relay" };

static const char *known_name(const char *name)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i], name))
			return known[i];
	return NULL;
}

static uint32_t how_of(const char *name, const struct update_request *request)
{
	if (request->original >= 0)
		return CPR_TRANSFER_BACK;
	if (request->to)
		return CPR_TRANSFER_RECEIVED;
	return !strcmp(name, "transfer") ? CPR_TRANSFER_SPAWNED : CPR_TRANSFER_STANDIN;
}

/**
 * method_choose() - take what is asked for, or configured
 * @m:	     filled in
 * @request: what is asked for
 * @h:	     its @how is filled in
 * @reasons: why that is none
 */
void method_choose(struct method *m, const struct update_request *request, struct handover *h, struct reasons *reasons)
{
	const char *asked = request->method ? request->method : settings.method;
	bool elsewhere = request->to || request->original >= 0;

	if (elsewhere && !request->method)
		asked = "transfer";
	m->name = known_name(asked);
	if (!m->name)
		reasons_add(reasons, BLOCKER_METHOD, "the method \"%s\" is not known", asked);
	else if (elsewhere && strcmp(m->name, "transfer") != 0)
		reasons_add(reasons, BLOCKER_METHOD, "another process can only take the guest by \"transfer\"");
	if (!m->name)
		m->name = "auto";
	h->how = how_of(m->name, request);
	snprintf(m->why, sizeof(m->why), "%s", request->method || elsewhere ? "asked for" : "configured");
}

/*
 * If the way back fails the guest goes on in the stand-in, and this process ends: a unit of systemd's ends with it, and all
 * that it has started (systemd.kill(5)).
 */
static bool is_units_process(void)
{
	char path[64], name[32];

	if (!settings.in_unit)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)getppid());
	vm_read_file(path, name, sizeof(name));
	return !strcmp(name, "systemd\n");
}

static bool is_relayed(const struct plan *plan, const struct handover *h, char *ret_why, size_t size)
{
	if (is_units_process())
		snprintf(ret_why, size, "this process is a systemd unit's, which ends with it");
	else if (transfer_possible(plan, h, ret_why, size))
		return true;
	return false;
}

/**
 * method_settle() - now that it is known what the VM holds: "auto" becomes the method that is taken
 * @m:	     after method_choose()
 * @plan:    what becomes of its descriptors
 * @h:	     with its RAM blocks
 * @reasons: why the one that is asked for cannot be taken
 */
void method_settle(struct method *m, const struct plan *plan, struct handover *h, struct reasons *reasons)
{
	bool automatic = !strcmp(m->name, "auto");
	char why[METHOD_WHY_MAX];

	if (!strcmp(m->name, "exec"))
		return;
	if (automatic) {
		bool relayed = is_relayed(plan, h, why, sizeof(why));

		m->name = relayed ? "relay" : "exec";
		snprintf(m->why, sizeof(m->why), "%s",
			 relayed ? "all that the VM holds can go to another process" : why);
	} else if (!transfer_possible(plan, h, why, sizeof(why))) {
		reasons_add(reasons, BLOCKER_METHOD, "the guest cannot go to another process: %s", why);
	}
}

/** method_is_beside() - after method_settle(): is the new QEMU brought up beside the guest? */
bool method_is_beside(const struct method *m)
{
	return strcmp(m->name, "exec") != 0;
}
