/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* images.c - the block nodes of a guest that does not run; see images.h. */
#include "images.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "../shim/real.h"
#include "clock.h"
#include "qmp.h"
#include "version.h"
#include "vm.h"

/* A lock that is held for longer than a look at an image takes is asked for less often. */
#define HASTE_MS 2000
#define LATER_S	 1
/* The first version that says which nodes are active. */
#define TELLS_ACTIVE 1000

/*
 * QEMU 10 keeps track of whether the nodes are active (migration/block-active.c), and skips the next save's part if it
 * is passed over; before that there is only the function that it calls.
 */
typedef bool tracked_fn(void **errp);
typedef void untracked_fn(void **errp);

struct call {
	tracked_fn *tracked;
	untracked_fn *untracked;
	void *error;
};

static struct call call;

static void find(void)
{
	static bool looked;

	if (!looked) {
		call.tracked = (tracked_fn *)real_symbol("migration_block_activate");
		call.untracked = (untracked_fn *)real_symbol("bdrv_activate_all");
	}
	looked = true;
}

static void activate(void *opaque)
{
	(void)opaque;
	call.error = NULL;
	if (call.tracked)
		call.tracked(&call.error);
	else
		call.untracked(&call.error);
}

/** images_can_activate() - does the binary export what images_activate() needs? */
bool images_can_activate(void)
{
	find();
	return call.tracked || call.untracked;
}

/**
 * images_activate() - take the images back without running the guest
 * @deadline_ns: CLOCK_MONOTONIC
 * @until_ns:	 how long to try it again
 *
 * While they belong to nobody another process may have locked one (qemu-img does, for the moment that it looks).
 *
 * Return: 0; -ENOSYS where the binary does not export what is needed; -EIO where QEMU could not do it.
 */
int images_activate(uint64_t deadline_ns, uint64_t until_ns)
{
	const struct timespec soon = { .tv_nsec = IMAGES_RETRY_NS }, later = { .tv_sec = LATER_S };
	uint64_t long_ago = qmp_in_ms(HASTE_MS);

	if (!images_can_activate())
		return -ENOSYS;
	for (;;) {
		if (qmp_call_on_main(activate, NULL, deadline_ns))
			return -EIO;
		if (!call.error)
			return 0;
		if (clock_now() > until_ns)
			return -EIO;
		/* QEMU says each time on its stderr what it could not lock. */
		nanosleep(clock_now() < long_ago ? &soon : &later, NULL);
	}
}

static bool tells_active(void)
{
	int number = version_number(vm.binary.version);

	return !number || number >= TELLS_ACTIVE;
}

static json_t *nodes_arguments(void)
{
	return json_pack("{s:b}", "flat", 1);
}

/** images_foresee_check() - qmp_foresee() of what images_check_inactive() will say */
void images_foresee_check(void)
{
	if (tells_active())
		qmp_foresee(&qmp_private, "query-named-block-nodes", nodes_arguments());
}

/**
 * images_check_inactive() - after the save: has QEMU let go of all of them?
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what it did not let go of
 *
 * QEMU 10.0 does not look at the result itself (migration/savevm.c:qmp_xen_save_devices_state), and a node that could
 * not be written back has its last changes in this process alone. Older ones do, and do not say which nodes are active.
 *
 * Return: 0 or -EIO.
 */
int images_check_inactive(uint64_t deadline_ns, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];

	if (!tells_active())
		return 0;
	json_t *list = qmp_command(&qmp_private, "query-named-block-nodes", nodes_arguments(), deadline_ns, error);
	const json_t *node;
	int rc = list ? 0 : -EIO;
	size_t i;

	if (!list)
		reasons_add(reasons, BLOCKER_IMAGES_HELD, "the block nodes could not be listed: %s", error);
	json_array_foreach(list, i, node) {
		if (!json_is_true(json_object_get(node, "active")))
			continue;
		reasons_add(reasons, BLOCKER_IMAGES_HELD, "%s could not be written back",
			    json_string_value(json_object_get(node, "file")));
		rc = -EIO;
	}
	json_decref(list);
	return rc;
}
