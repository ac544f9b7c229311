/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* halt.c - stop the guest and save its devices; see halt.h. */
#include "halt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/slots.h"
#include "clock.h"
#include "fault.h"
#include "images.h"
#include "interrupts.h"
#include "ringbufs.h"
#include "stopsave.h"
#include "vm.h"

static int expect_paused(uint64_t deadline, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];
	json_t *answer = qmp_command(&qmp_private, "query-status", NULL, deadline, error);
	const char *status = json_string_value(json_object_get(answer, "status"));
	bool paused = status && !strcmp(status, "paused") && !qmp_private.resumed && !qmp_private.reset;

	if (!paused)
		reasons_add(reasons, BLOCKER_STOP_FAILED,
			    "the guest did not stay stopped (%s): something else started or reset it",
			    status ? status : error);
	json_decref(answer);
	return paused ? 0 : -EBUSY;
}

/* "live": whoever asks has another QEMU take the images over (migration/savevm.c:qmp_xen_save_devices_state). */
static json_t *save_arguments(const struct halt *h)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", h->state_fd);
	return json_pack("{s:s, s:b}", "filename", path, "live", !h->keeps_images);
}

/**
 * halt_foresee() - what can be done for the stop and the save while the guest runs
 * @h:	     with HALT_INIT
 * @running: the guest runs
 * @at_once: nothing is to be done between the two
 *
 * Other commands than theirs are not to be given before them.
 *
 * Return: 0 or a negative errno.
 */
int halt_foresee(struct halt *h, bool running, bool at_once)
{
	h->state_fd = slots_memfd("cprshim-devices");
	if (h->state_fd < 0)
		return h->state_fd;
	h->at_once = at_once && stopsave_possible();
	if (running && !h->at_once)
		qmp_foresee(&qmp_private, "stop", NULL);
	if (!h->at_once)
		qmp_foresee(&qmp_private, "xen-save-devices-state", save_arguments(h));
	qmp_foresee(&qmp_private, "query-status", NULL);
	if (!h->keeps_images)
		images_foresee_check();
	return 0;
}

/*
 * QEMU opens an image again by its name when its permissions change (block/file-posix.c:raw_reconfigure_getfd), as they
 * do when it is let go of; after -daemonize a relative name does not lead there from /.
 */
static void to_first_directory(bool there)
{
	if (vm.daemonized && (there ? fchdir(vm.cwd_fd) : chdir("/")))
		log_warn("the working directory could not be changed: %s", strerror(errno));
}

/* QEMU writes its devices' state, and lets go of its images, unless it is to keep them. */
static void expect_save(struct halt *h)
{
	h->saving = true;
	h->saved = !h->keeps_images;
	if (h->saved)
		to_first_directory(true);
}

static int stop(struct halt *h, bool running, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	if (fault_at("stop"))
		return -EIO;
	if (h->at_once) {
		expect_save(h);
		stopsave_begin(running, h->state_fd, !h->keeps_images);
		return stopsave_stopped(deadline_ns, error);
	}
	return running ? qmp_do(&qmp_private, "stop", NULL, deadline_ns, error) : 0;
}

/**
 * halt_stop() - stop the guest
 * @h:		 after halt_foresee()
 * @running:	 the guest runs
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what went wrong
 *
 * Where it can be, the save is begun with it.
 *
 * Return: 0 or a negative errno.
 */
int halt_stop(struct halt *h, bool running, uint64_t deadline_ns, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX] = FAULT_TEXT;

	qmp_forget_events(&qmp_private);
	vm_mark(JOURNAL_STOPPING);
	h->stopped = running;
	if (stop(h, running, deadline_ns, error)) {
		reasons_add(reasons, BLOCKER_STOP_FAILED, "the guest could not be stopped: %s", error);
		return -EIO;
	}
	vm_mark(JOURNAL_STOPPED);
	if (!h->at_once && interrupts_repeat(deadline_ns)) {
		reasons_add(reasons, BLOCKER_STOP_FAILED, "the disks' interrupts could not be repeated");
		return -EIO;
	}
	return 0;
}

/**
 * halt_save_begin() - have QEMU write its devices' state, and let go of its images, unless it is to keep them
 * @h:		 after halt_stop(), which may have begun that
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what went wrong
 *
 * halt_save_end() or halt_await() follows, and QEMU is told nothing else before it.
 *
 * Return: 0 or a negative errno.
 */
int halt_save_begin(struct halt *h, uint64_t deadline_ns, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];

	if (h->saving)
		return 0;
	expect_save(h);
	h->save = (struct qmp_call){ .name = "xen-save-devices-state", .arguments = save_arguments(h) };
	int rc = qmp_begin(&qmp_private, &h->save, deadline_ns, error);
	if (rc)
		reasons_add(reasons, BLOCKER_STATE_SAVE, "the device state could not be saved: %s", error);
	h->saving = !rc;
	return rc;
}

static int end_save(struct halt *h, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	bool unanswered;
	int rc;

	if (h->at_once) {
		rc = stopsave_saved(deadline_ns, error);
		unanswered = rc == -ETIMEDOUT;
	} else {
		json_t *answer = qmp_end(&qmp_private, &h->save, deadline_ns, error);
		rc = answer ? 0 : -EIO;
		unanswered = rc && qmp_private.unanswered;
		json_decref(answer);
	}
	h->saving = false;
	/* A save that goes on after its deadline opens this number with O_TRUNC: nothing else may ever stand there. */
	if (unanswered)
		h->state_fd = -1;
	return rc;
}

/**
 * halt_save_end() - wait until it has been written
 * @h:		 after halt_save_begin()
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what went wrong
 *
 * Return: 0 or a negative errno.
 */
int halt_save_end(struct halt *h, uint64_t deadline_ns, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX] = FAULT_TEXT;
	int rc = end_save(h, deadline_ns, error);

	if (!rc) {
		vm_mark(JOURNAL_SAVED);
		rc = fault_at("save") ? -EIO : 0;
	}
	if (rc)
		reasons_add(reasons, BLOCKER_STATE_SAVE, "the device state could not be saved: %s", error);
	return rc;
}

/** halt_save() - halt_save_begin() and halt_save_end() */
int halt_save(struct halt *h, uint64_t deadline_ns, struct reasons *reasons)
{
	int rc = halt_save_begin(h, deadline_ns, reasons);

	return rc ? rc : halt_save_end(h, deadline_ns, reasons);
}

/**
 * halt_check() - does the guest still stand still, and has QEMU let go of its images?
 * @h:		 after halt_save()
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what went wrong
 *
 * Return: 0 or a negative errno.
 */
int halt_check(const struct halt *h, uint64_t deadline_ns, struct reasons *reasons)
{
	int rc = expect_paused(deadline_ns, reasons);

	return rc || h->keeps_images ? rc : images_check_inactive(deadline_ns, reasons);
}

/**
 * halt_ringbufs() - take what ring buffers hold out of them
 * @h:		 after halt_stop(): what a stop prints is in them
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what went wrong
 *
 * Return: 0 or a negative errno.
 */
int halt_ringbufs(struct halt *h, uint64_t deadline_ns, struct reasons *reasons)
{
	return ringbufs_take(&h->ringbufs, deadline_ns, reasons);
}

/* Another process may have locked an image that was let go of. */
static void continue_guest(uint64_t deadline)
{
	const struct timespec pause = { .tv_nsec = IMAGES_RETRY_NS };
	char error[QMP_ERROR_MAX];

	while (qmp_do(&qmp_private, "cont", NULL, deadline, error)) {
		if (clock_now() > deadline) {
			log_error("the guest could not be continued: %s", error);
			return;
		}
		nanosleep(&pause, NULL);
	}
}

/*
 * Only a stop of ours is taken back: QEMU may have stopped the guest for another reason since (an I/O error, a
 * watchdog).
 */
static void go_on(uint64_t deadline)
{
	char error[QMP_ERROR_MAX];
	json_t *answer = qmp_command(&qmp_private, "query-status", NULL, deadline, error);
	const char *status = json_string_value(json_object_get(answer, "status"));

	if (!status || !strcmp(status, "paused") || !strcmp(status, "prelaunch")) {
		continue_guest(deadline);
	} else if (strcmp(status, "running") != 0) {
		log_warn("the guest is \"%s\" and is left so", status);
	}
	json_decref(answer);
}

/**
 * halt_await() - the update is given up: QEMU ends what it is at, and ring buffers have again what was in them
 * @h:		 however far it has come
 * @deadline_ns: CLOCK_MONOTONIC
 */
void halt_await(struct halt *h, uint64_t deadline_ns)
{
	char error[QMP_ERROR_MAX];

	if (h->saving)
		end_save(h, deadline_ns, error);
	if (h->ringbufs && ringbufs_give_back(h->ringbufs, deadline_ns))
		log_error("what ring buffers held could not be put back");
	h->ringbufs = NULL;
}

/**
 * halt_go_on() - the guest goes on in this process
 * @h:		 after halt_await()
 * @running:	 it ran before
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * A guest that the user had paused stays so, and gets its images back.
 */
void halt_go_on(struct halt *h, bool running, uint64_t deadline_ns)
{
	int rc = 0;

	if (running && h->stopped)
		go_on(deadline_ns);
	else if (h->saved)
		rc = images_activate(deadline_ns, deadline_ns);
	if (rc)
		log_warn("the images are taken back only when the guest is continued: %s", strerror(-rc));
}

/** halt_end() - nothing is left of it */
void halt_end(struct halt *h)
{
	if (h->saved)
		to_first_directory(false);
	slots_close(h->state_fd);
	*h = (struct halt)HALT_INIT;
}
