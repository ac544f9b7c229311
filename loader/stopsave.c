/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stopsave.c - stop the guest and save its devices by one call; see stopsave.h. */
#include "stopsave.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#include "../shim/main_call.h"
#include "../shim/real.h"
#include "version.h"
#include "vm.h"

/* QMP's "stop" (system/runstate.c) and "xen-save-devices-state" (migration/savevm.c), the same in these versions */
typedef void stop_fn(void **errp);
typedef void save_fn(const char *filename, bool has_live, bool live, void **errp);
typedef const char *pretty_fn(const void *error);

/* Static, as main_call_begin() wants it. */
static struct {
	stop_fn *stop;
	save_fn *save;
	pretty_fn *pretty;
	bool running;
	bool live;
	char path[64];
	sem_t stopped;
	bool refused;
	char error[QMP_ERROR_MAX];
} call;

/* On the main thread. An error's memory is not given back: the update is over then. */
static bool succeeds(const void *error)
{
	if (error)
		snprintf(call.error, sizeof(call.error), "%s", call.pretty(error));
	call.refused = error;
	return !error;
}

static void stop_and_save(void *opaque)
{
	void *error = NULL;

	(void)opaque;
	if (call.running)
		call.stop(&error);
	bool stands = succeeds(error);
	sem_post(&call.stopped);
	if (!stands)
		return;
	call.save(call.path, true, call.live, &error);
	succeeds(error);
}

/** stopsave_possible() - does the binary export what that takes? By the service thread. */
bool stopsave_possible(void)
{
	if (!call.stop) {
		call.stop = (stop_fn *)real_symbol("qmp_stop");
		call.save = (save_fn *)real_symbol("qmp_xen_save_devices_state");
		call.pretty = (pretty_fn *)real_symbol("error_get_pretty");
	}
	return version_is_known(vm.binary.version) && main_call_is_direct() && call.stop && call.save && call.pretty;
}

/**
 * stopsave_begin() - have QEMU stop the guest and write the state of its devices
 * @running: the guest runs; else there is nothing to be stopped
 * @fd:	     what it is written to
 * @live:    another QEMU takes the images over: they are let go of
 *
 * After stopsave_possible(); stopsave_stopped() and stopsave_saved() follow, by the service thread.
 */
void stopsave_begin(bool running, int fd, bool live)
{
	call.running = running;
	call.live = live;
	snprintf(call.path, sizeof(call.path), "/proc/self/fd/%d", fd);
	call.refused = false;
	sem_init(&call.stopped, 0, 0);
	main_call_begin(stop_and_save, NULL);
}

static int refused(char error[QMP_ERROR_MAX])
{
	snprintf(error, QMP_ERROR_MAX, "%s", call.error);
	return -EIO;
}

static int unanswered(char error[QMP_ERROR_MAX])
{
	snprintf(error, QMP_ERROR_MAX, "QEMU has not done it in time");
	return -ETIMEDOUT;
}

/**
 * stopsave_stopped() - wait until the guest stands still
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 on failure: why
 *
 * Return: 0; -EIO where QEMU refused it; -ETIMEDOUT where it may yet do it.
 */
int stopsave_stopped(uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	struct timespec until = { .tv_sec = (time_t)(deadline_ns / 1000000000),
				  .tv_nsec = (long)(deadline_ns % 1000000000) };

	while (sem_clockwait(&call.stopped, CLOCK_MONOTONIC, &until))
		if (errno != EINTR)
			return unanswered(error);
	return call.running && call.refused ? refused(error) : 0;
}

/**
 * stopsave_saved() - wait until the state has been written
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 on failure: why
 *
 * Return: 0; -EIO where QEMU refused it; -ETIMEDOUT where it may yet write.
 */
int stopsave_saved(uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	if (main_call_end(deadline_ns))
		return unanswered(error);
	return call.refused ? refused(error) : 0;
}
