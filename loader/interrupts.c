/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* interrupts.c - interrupts of disks that QEMU itself loses when it stops the guest; see interrupts.h. */
#include "interrupts.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "../shim/real.h"
#include "qmp.h"
#include "version.h"
#include "vm.h"

/*
 * Functions of QEMU's (include/qom/object.h, include/hw/virtio/virtio.h, include/qemu/event_notifier.h). 11.1 has
 * virtio_set_guest_notifier() in place of virtio_queue_set_guest_notifier_fd_handler(); it calls event_notifier_cleanup()
 * too.
 */
struct functions {
	void *(*object_get_root)(void);
	int (*object_child_foreach_recursive)(void *object, int (*fn)(void *child, void *opaque), void *opaque);
	void *(*object_dynamic_cast)(void *object, const char *type);
	int (*virtio_get_num_queues)(void *device);
	uint64_t (*virtio_queue_get_desc_addr)(void *device, int n);
	void *(*virtio_get_queue)(void *device, int n);
	void *(*virtio_queue_get_guest_notifier)(void *queue);
	void (*virtio_queue_set_guest_notifier_fd_handler)(void *queue, bool assign, bool with_irqfd);
	int (*event_notifier_init)(void *notifier, int active);
	void (*event_notifier_cleanup)(void *notifier);
	int (*virtio_set_guest_notifier)(void *device, int n, bool assign, bool with_irqfd);
};

/* Is there a device that may have lost one? Found out by the check, acted upon by the same update. */
static bool at_risk;

static bool find(struct functions *ret)
{
	bool all = true;

	*ret = (struct functions){ .object_get_root = NULL };
#define FIND(name) all = (ret->name = (__typeof__(ret->name))real_symbol(#name)) && all
	FIND(object_get_root);
	FIND(object_child_foreach_recursive);
	FIND(object_dynamic_cast);
	FIND(virtio_get_num_queues);
	FIND(virtio_queue_get_desc_addr);
	FIND(virtio_get_queue);
	FIND(virtio_queue_get_guest_notifier);
	FIND(event_notifier_init);
	if (!all)
		return false;
	FIND(virtio_queue_set_guest_notifier_fd_handler);
	FIND(event_notifier_cleanup);
	if (all)
		return true;
	all = true;
	FIND(virtio_set_guest_notifier);
#undef FIND
	return all;
}

/* Take a queue's eventfd away: its handler is called once more. */
static void take_away(const struct functions *f, void *device, int n, void *notifier)
{
	if (f->virtio_set_guest_notifier) {
		f->virtio_set_guest_notifier(device, n, false, false);
		return;
	}
	f->virtio_queue_set_guest_notifier_fd_handler(f->virtio_get_queue(device, n), false, false);
	f->event_notifier_cleanup(notifier);
}

/*
 * What QEMU does when it takes a queue's eventfd away while the guest is stopped: a signal that nobody has read becomes
 * an interrupt. One too many is harmless: the driver finds nothing to do (virtio 1.2, 2.7.7).
 */
static int repeat_one(void *object, void *opaque)
{
	const struct functions *f = opaque;

	if (!f->object_dynamic_cast(object, "virtio-blk-device") &&
	    !f->object_dynamic_cast(object, "virtio-scsi-device"))
		return 0;
	for (int n = 0; n < f->virtio_get_num_queues(object); n++) {
		void *notifier = f->virtio_queue_get_guest_notifier(f->virtio_get_queue(object, n));

		/* No driver has set it up, or no descriptor is left: nothing was lost, or nothing can be done. */
		if (!f->virtio_queue_get_desc_addr(object, n) || f->event_notifier_init(notifier, 1))
			continue;
		take_away(f, object, n, notifier);
	}
	return 0;
}

static void repeat_all(void *opaque)
{
	struct functions *f = opaque;

	f->object_child_foreach_recursive(f->object_get_root(), repeat_one, f);
}

static bool is_affected_version(void)
{
	return version_number(vm.binary.version) >= 802;
}

/**
 * interrupts_check() - could stopping this guest lose an interrupt?
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 that it could, and that nothing can be done about it
 */
void interrupts_check(uint64_t deadline_ns, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];
	struct functions f;

	at_risk = false;
	if (!is_affected_version())
		return;
	json_t *threads = qmp_command(&qmp_private, "query-iothreads", NULL, deadline_ns, error);
	at_risk = json_array_size(threads) > 0;
	json_decref(threads);
	if (at_risk && !find(&f))
		reasons_add(reasons, BLOCKER_IOTHREAD_INTERRUPT,
			    "this QEMU may lose a disk's interrupt when it stops a guest with iothreads, "
			    "and does not export what is needed to repeat it");
}

/** interrupts_at_risk() - has interrupts_repeat() anything to do? */
bool interrupts_at_risk(void)
{
	return at_risk;
}

/**
 * interrupts_repeat() - after "stop": give the guest the interrupts that may have been lost
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * They wait in the interrupt controllers, whose state is saved after this.
 *
 * Return: 0, or -EIO where QEMU could not be reached.
 */
int interrupts_repeat(uint64_t deadline_ns)
{
	static struct functions f;

	if (!at_risk || !find(&f))
		return 0;
	return qmp_call_on_main(repeat_all, &f, deadline_ns);
}
