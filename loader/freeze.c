/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* freeze.c - stop the guest and save its devices; see freeze.h. */
#include "freeze.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/session.h"
#include "../shim/slots.h"
#include "fault.h"
#include "qmp.h"
#include "vm.h"
#include "wire.h"

/*
 * The dispatcher serves monitors in turn (monitor/qmp.c), and each may have 8 requests queued when out-of-band execution is on
 * (QMP_REQ_QUEUE_LEN_MAX): after 9 commands of ours every queue that nobody fills any more is empty.
 */
#define BARRIERS 9

static int hold(struct freeze *f, const struct planned *p)
{
	if (f->held_count == FREEZE_MAX)
		return -ENOSPC;
	int real = slots_park(p->it.fd);
	if (real < 0)
		return real;
	struct decoy *d = &f->held[f->held_count];
	int rc = decoy_place(d, p->it.kind, p->it.fd, real);
	if (rc) {
		slots_close(real);
		return rc;
	}
	f->held_count++;
	return 0;
}

static int barrier(int times, uint64_t deadline)
{
	char error[QMP_ERROR_MAX];

	for (int i = 0; i < times; i++)
		if (qmp_do(&qmp_private, "query-status", NULL, deadline, error))
			return -EIO;
	return 0;
}

/**
 * freeze_gates() - from here on nobody new comes in
 * @f:		 zeroed, with state_fd -1
 * @plan:	 the plan; to be made again afterwards, as a client may just have come
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Return: 0 or a negative errno.
 */
int freeze_gates(struct freeze *f, const struct plan *plan, uint64_t deadline_ns)
{
	for (size_t i = 0; i < plan->count; i++) {
		int rc = plan->fds[i].it.kind == FDKIND_LISTENER ? hold(f, &plan->fds[i]) : 0;

		if (rc)
			return rc;
	}
	return barrier(1, deadline_ns);
}

static bool is_monitor(int fd)
{
	struct session s;
	bool monitor = false;

	if (session_copy(fd, &s)) {
		monitor = s.protocol == SESSION_QMP || s.protocol == SESSION_HMP;
		free(s.partial);
	}
	return monitor;
}

/**
 * freeze_monitors() - from here on no command but ours is begun, and no packet comes in
 * @f:		 after freeze_gates()
 * @plan:	 a plan made since
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Packets that the guest sends from here on are forwarded by freeze_collect().
 *
 * Return: 0 or a negative errno.
 */
int freeze_monitors(struct freeze *f, const struct plan *plan, uint64_t deadline_ns)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];
		bool now = p->it.kind == FDKIND_TAP ||
			   (p->it.kind == FDKIND_CLIENT && p->chardev && is_monitor(p->it.fd));
		int rc = now ? hold(f, p) : 0;

		if (rc)
			return rc;
	}
	return barrier(BARRIERS, deadline_ns);
}

static int expect_paused(uint64_t deadline, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];
	json_t *answer = qmp_command(&qmp_private, "query-status", NULL, deadline, error);
	const char *status = json_string_value(json_object_get(answer, "status"));
	bool paused = status && !strcmp(status, "paused") && !qmp_private.resumed && !qmp_private.reset;

	if (!paused)
		reasons_add(reasons, "the guest did not stay stopped (%s): something else started or reset it",
			    status ? status : error);
	json_decref(answer);
	return paused ? 0 : -EBUSY;
}

static bool is_input(const struct planned *p, const struct plan *plan)
{
	switch (p->it.kind) {
	case FDKIND_CLIENT:
	case FDKIND_CONNECTION:
		return p->chardev;
	case FDKIND_PTY_MASTER:
		return true;
	case FDKIND_STDIO:
		return plan->stdio && p->it.fd == STDIN_FILENO;
	default:
		return false;
	}
}

/**
 * freeze_stop() - stop the guest, and take everything away that could change a stopped one
 * @f:		 after freeze_monitors()
 * @plan:	 the plan
 * @running:	 the guest runs
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what went wrong
 *
 * Return: 0 or a negative errno.
 */
int freeze_stop(struct freeze *f, const struct plan *plan, bool running, uint64_t deadline_ns, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];

	qmp_forget_events(&qmp_private);
	vm_mark(JOURNAL_STOPPING);
	f->stopped = running;
	if (running && qmp_do(&qmp_private, "stop", NULL, deadline_ns, error)) {
		reasons_add(reasons, "the guest could not be stopped: %s", error);
		return -EIO;
	}
	vm_mark(JOURNAL_STOPPED);
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];
		int rc = is_input(p, plan) && !freeze_decoy(f, p->it.fd) ? hold(f, p) : 0;

		if (rc) {
			reasons_add(reasons, "descriptor %d could not be held: %s", p->it.fd, strerror(-rc));
			return rc;
		}
	}
	return expect_paused(deadline_ns, reasons);
}

/*
 * QEMU opens an image again by its name when its permissions change (block/file-posix.c:raw_reconfigure_getfd), as they do when it is
 * let go of; after -daemonize a relative name does not lead there from /.
 */
static void to_first_directory(bool there)
{
	if (vm.daemonized && (there ? fchdir(vm.cwd_fd) : chdir("/")))
		log_warn("the working directory could not be changed: %s", strerror(errno));
}

/**
 * freeze_save() - have QEMU write its devices' state, and let go of its images
 * @f:		 after freeze_stop()
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what went wrong
 *
 * Return: 0 or a negative errno.
 */
int freeze_save(struct freeze *f, uint64_t deadline_ns, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX], path[64];

	f->state_fd = slots_memfd("cprshim-devices");
	if (f->state_fd < 0) {
		reasons_add(reasons, "no memory for the device state: %s", strerror(-f->state_fd));
		return f->state_fd;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->state_fd);
	f->saved = true;
	to_first_directory(true);
	if (qmp_do(&qmp_private, "xen-save-devices-state", json_pack("{s:s}", "filename", path), deadline_ns, error)) {
		reasons_add(reasons, "the device state could not be saved: %s", error);
		return -EIO;
	}
	vm_mark(JOURNAL_SAVED);
	if (fault_at("save")) {
		reasons_add(reasons, "the device state could not be saved: as asked for by CPRSHIM_FAULT");
		return -EIO;
	}
	return expect_paused(deadline_ns, reasons);
}

/**
 * freeze_collect() - pass on what QEMU wrote to decoys
 * @f:	     after freeze_save()
 * @residue: called with what a monitor's client had no room for; its number is QEMU's
 * @opaque:  passed to it
 *
 * Return: 0 or a negative errno.
 */
int freeze_collect(struct freeze *f, int (*residue)(int fd, const void *data, size_t len, void *opaque), void *opaque)
{
	static const char *const ours[] = { "STOP", NULL };

	for (size_t i = 0; i < f->held_count; i++) {
		struct decoy *d = &f->held[i];
		struct wire w = { .data = NULL };
		int rc;

		if (d->kind == FDKIND_CLIENT && is_monitor(d->number)) {
			rc = wire_read(&w, d);
			if (!rc && f->stopped)
				wire_drop_events(&w, ours);
			/* A client that is gone is noticed by the successor. */
			if (!rc)
				wire_send(&w, d->real);
			if (!rc && w.len)
				rc = residue(d->number, w.data, w.len, opaque);
			wire_free(&w);
		} else {
			rc = decoy_forward(d);
			if (rc == -EPIPE || rc == -ECONNRESET || rc == -EIO)
				rc = 0;
		}
		if (rc)
			return rc;
	}
	return 0;
}

static int no_residue(int fd, const void *data, size_t len, void *opaque)
{
	(void)data;
	(void)opaque;
	log_warn("descriptor %d: %zu bytes for a client that does not read were dropped", fd, len);
	return 0;
}

static void activate_images(void *opaque)
{
	void (*activate)(void **errp) = (void (*)(void **))real_symbol("bdrv_activate_all");

	(void)opaque;
	if (activate)
		activate(NULL);
}

/**
 * freeze_undo() - the guest goes on in this process
 * @f:	     however far it has come
 * @running: it ran before
 *
 * A guest that the user had paused stays so; its images are activated without "cont", which would run it (bdrv_activate_all(),
 * where the binary exports it; else they are when the user continues).
 */
void freeze_undo(struct freeze *f, bool running)
{
	char error[QMP_ERROR_MAX];
	uint64_t deadline = qmp_in_ms(30000);

	freeze_collect(f, no_residue, NULL);
	for (size_t i = 0; i < f->held_count; i++)
		if (decoy_switch(&f->held[i]))
			log_error("descriptor %d could not be put back", f->held[i].number);
	barrier(1, deadline);
	for (size_t i = 0; i < f->held_count; i++)
		decoy_done(&f->held[i]);
	f->held_count = 0;
	if (running && f->stopped) {
		if (qmp_do(&qmp_private, "cont", NULL, deadline, error))
			log_error("the guest could not be continued: %s", error);
	} else if (f->saved) {
		qmp_call_on_main(activate_images, NULL, deadline);
	}
	if (f->saved)
		to_first_directory(false);
	vm_mark(JOURNAL_RUNNING);
	f->state_fd = slots_close(f->state_fd);
	f->stopped = f->saved = false;
}

/** freeze_decoy() - the decoy under a number, or NULL */
const struct decoy *freeze_decoy(const struct freeze *f, int fd)
{
	for (size_t i = 0; i < f->held_count; i++)
		if (f->held[i].number == fd)
			return &f->held[i];
	return NULL;
}
