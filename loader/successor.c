/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * successor.c - in a successor, on the service thread: RAM, device state and descriptors are given to QEMU, and the
 * guest runs.
 *
 * QEMU waits with -S and -incoming defer. Each step has a deadline; a step that fails leads back to the old binary,
 * until the commit mark. Nothing of the guest's has run then: "paused stays paused" and a held update stop right before
 * "cont".
 */
#include "successor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../shim/guard.h"
#include "../shim/log.h"
#include "../shim/main_call.h"
#include "../shim/ram.h"
#include "../shim/real.h"
#include "../shim/settings.h"
#include "../shim/slots.h"
#include "accept.h"
#include "argv.h"
#include "changes.h"
#include "channel.h"
#include "clients.h"
#include "clock.h"
#include "control.h"
#include "fault.h"
#include "feed.h"
#include "hotplug.h"
#include "images.h"
#include "migparams.h"
#include "mux.h"
#include "packets.h"
#include "pcimap.h"
#include "qmp.h"
#include "ramblocks.h"
#include "result.h"
#include "ringbufs.h"
#include "rollback.h"
#include "service.h"
#include "stdout.h"
#include "takeover.h"
#include "telnets.h"
#include "threads.h"
#include "tidy.h"
#include "vm.h"
#include "warm.h"

/* What QEMU may need at once when the guest runs: the stacks of two threads. */
#define ROOM ((size_t)16 << 20)

/* How long the old QEMU has at least to take the guest back, once it is up. */
#define WAY_BACK_S 60
/* How long QEMU may take to say how it is after a command that went wrong. */
#define STATUS_MS 5000
/* How long another process may hold an image locked before the old QEMU is given the guest back. */
#define IMAGES_MS 2000

static uint64_t deadline;
static struct reasons warnings = REASONS_INIT;

/* On the way back one that is too short for this machine would be so at each try. */
static void start_clock(void)
{
	uint64_t s = vm.cpr_state->vm[0].timeout_s;

	if (vm.journal->attempt > 1 && s < WAY_BACK_S)
		s = WAY_BACK_S;
	deadline = clock_now() + s * 1000000000;
}

/*
 * The guest is where it was: nobody has to be told by packets in its name (net/announce.c). Not none at all: with 0 a
 * virtio-net device has no timer for them after the load, and QEMU crashes when the guest resets it
 * (hw/net/virtio-net.c:virtio_net_reset).
 */
static int announce_little(char error[QMP_ERROR_MAX])
{
	return qmp_do(&qmp_private, "migrate-set-parameters", json_pack("{s:i}", "announce-rounds", 1), deadline,
		      error);
}

static bool is_paused(char error[QMP_ERROR_MAX])
{
	json_t *answer = qmp_command(&qmp_private, "query-status", NULL, deadline, error);
	const char *status = json_string_value(json_object_get(answer, "status"));
	bool paused = status && !strcmp(status, "paused");

	if (status && !paused)
		snprintf(error, QMP_ERROR_MAX, "the guest is \"%s\" after the load", status);
	json_decref(answer);
	return paused;
}

/*
 * What was added and set at run time. On the way back there is nowhere else to go: the device state tells whether it
 * fits.
 */
static int replay(char error[QMP_ERROR_MAX])
{
	if (!changes_any())
		return 0;
	int rc = hotplug_replay(deadline, error, &warnings);
	if (!rc)
		rc = hotplug_compare(vm.entities, deadline, error);
	if (!rc || vm.journal->attempt == 1)
		return rc;
	reasons_note(&warnings, "%s", error);
	return 0;
}

typedef int ram_matcher(const struct cprstate *state, uint64_t deadline_ns, struct reasons *reasons);

static int match_ram(ram_matcher *match, char error[QMP_ERROR_MAX])
{
	struct reasons reasons = REASONS_INIT;
	int rc = match(vm.cpr_state, deadline, &reasons);

	if (rc)
		snprintf(error, QMP_ERROR_MAX, "%s",
			 json_string_value(json_object_get(json_array_get(reasons.blockers, 0), "what")));
	reasons_free(&reasons);
	return rc;
}

/* On the way back QEMU may have to wait for a disk's server, however long that takes. */
static void wait_without_limit(void)
{
	struct pollfd greeting = { .fd = qmp_private.fd, .events = POLLIN };

	if (!poll(&greeting, 1, clock_left_ms(deadline)))
		log_error("the old QEMU has not come up in time: the guest stands still until it has");
	deadline = UINT64_MAX;
}

/* QEMU waits for the device state, and is what the state says that it must be. */
static int come_up(char error[QMP_ERROR_MAX])
{
	bool may_wait = vm.journal->attempt > 1;

	if (may_wait)
		wait_without_limit();
	if (qmp_handshake(&qmp_private, deadline)) {
		snprintf(error, QMP_ERROR_MAX, "the %s QEMU did not %s", rollback_which(),
			 clock_now() > deadline ? "come up in time" : "answer");
		return -ETIMEDOUT;
	}
	vm_mark(JOURNAL_UP);
	if (migparams_for_load(true, deadline, error) || announce_little(error))
		return -EIO;
	if (replay(error))
		return -EIO;
	if (may_wait)
		start_clock();
	return 0;
}

/* Beside the guest: everything up to its devices' state. */
static int come_up_beside(char error[QMP_ERROR_MAX])
{
	if (come_up(error) || match_ram(ramblocks_match, error) || clients_accepted(deadline, error))
		return -EIO;
	pcimap_restore(vm.cpr_state, deadline);
	if (vm.cpr_state->stream[0].fd >= 0)
		clients_connected(deadline);
	return 0;
}

static int map_ram(ram_matcher *map, char error[QMP_ERROR_MAX])
{
	int rc = match_ram(map, error);

	if (!rc)
		vm_mark(JOURNAL_REMAPPED);
	return rc;
}

/* Clients and their output: with RAM all but the devices' state. */
static int connect_clients(char error[QMP_ERROR_MAX])
{
	if (clients_accepted(deadline, error) || packets_resume(deadline, error))
		return -EIO;
	telnets_wait(deadline, &warnings);
	/* One that came up beside the guest has waited long ago. */
	if (!takeover_is_one())
		clients_connected(deadline);
	mux_restore(vm.cpr_state, deadline);
	clients_hold_back();
	vm_mark(JOURNAL_CONNECTED);
	return 0;
}

static int load(char error[QMP_ERROR_MAX])
{
	if (feed_devices(deadline, error))
		return -EIO;
	vm_mark(JOURNAL_LOADED);
	return !is_paused(error) || ringbufs_restore(vm.cpr_state, deadline, error) ? -EIO : 0;
}

static void restore_threads(void)
{
	threads_restore(vm.cpr_state, !argv_forbids_affinity(vm.argv), deadline, &warnings);
}

/* Whoever asked for the update waits, and so does a deadline. */
static uint64_t fill_until(void)
{
	uint64_t now = clock_now();

	return now + (deadline - now) / 2;
}

/* By an exec: the guest stands still. */
static int prepare_alone(char error[QMP_ERROR_MAX])
{
	if (come_up(error) || map_ram(ramblocks_remap, error) || connect_clients(error) || feed_open(deadline, error))
		return -EIO;
	qmp_foresee(&qmp_private, "query-status", NULL); /* what is said to QEMU after its load */
	if (load(error))
		return -EIO;
	stdout_is_up();
	restore_threads();
	return 0;
}

/* All that can be done while the guest runs. */
static int make_ready(char error[QMP_ERROR_MAX])
{
	if (come_up_beside(error))
		return -EIO;
	restore_threads();
	ramblocks_prepare(vm.cpr_state, fill_until());
	accept_make_room();
	images_can_activate();
	main_call_is_direct();
	warm_program();
	warm_heap();
	return feed_open(deadline, error);
}

/* Beside the guest, which goes on there until the state has come. */
static int prepare_beside(char error[QMP_ERROR_MAX])
{
	int rc = make_ready(error);

	if (!rc)
		rc = takeover_wait(error);
	start_clock();
	if (rc || map_ram(ramblocks_remap_matched, error) || takeover_state(error) || connect_clients(error))
		return -EIO;
	qmp_foresee(&qmp_private, "query-status", NULL); /* what is said to QEMU after its load */
	rc = takeover_stream(error);
	start_clock();
	if (rc || load(error))
		return -EIO;
	stdout_is_up();
	if (takeover_is_sure(deadline)) {
		snprintf(error, QMP_ERROR_MAX, "the running QEMU did not say that it stands still");
		return -ETIMEDOUT;
	}
	return 0;
}

/* Everything up to the commit mark. */
static int prepare(char error[QMP_ERROR_MAX])
{
	int rc = takeover_is_one() ? prepare_beside(error) : prepare_alone(error);

	if (!rc)
		vm_mark(JOURNAL_READY);
	return rc;
}

/* Is the guest to run when the update is over? A failed update leaves it as it was, whatever was asked for. */
static bool is_to_run(void)
{
	const struct cpr_vm *rec = &vm.cpr_state->vm[0];

	return rec->running && (!rec->hold || vm.journal->attempt > 1);
}

/* What can well fail comes first: a stopped guest's serial port takes input, which would not be there for the old QEMU. */
static int connect_guest(char error[QMP_ERROR_MAX])
{
	bool fails = fault_at("images");
	uint64_t until = vm.journal->attempt > 1 ? deadline : qmp_in_ms(IMAGES_MS);

	if (is_to_run())
		qmp_foresee(&qmp_private, "cont", NULL);
	int rc = is_to_run() && !images_can_activate() ? 0 : images_activate(deadline, until);

	if (fails)
		rc = -EIO;
	if (rc)
		snprintf(error, QMP_ERROR_MAX,
			 "the images could not be taken over, another process may have locked one: %s", strerror(-rc));
	vm_mark(JOURNAL_IMAGES);
	if (!rc && fault_at("switch")) {
		snprintf(error, QMP_ERROR_MAX, "the devices' descriptors could not be switched, " FAULT_TEXT);
		rc = -EIO;
	}
	if (!rc)
		rc = clients_switch(error);
	vm_mark(JOURNAL_SWITCHED);
	return rc;
}

/*
 * A QEMU that is out of memory or descriptors would not run the guest for long. On the way back there is nowhere else to
 * go.
 */
static int has_room(char error[QMP_ERROR_MAX])
{
	if (vm.journal->attempt > 1)
		return 0;
	void *room = real(mmap)(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = room == MAP_FAILED ? -1 : real(fcntl)(settings.state_fd, F_DUPFD_CLOEXEC, 0);
	int rc = fd < 0 ? -errno : 0;

	if (room != MAP_FAILED)
		real(munmap)(room, ROOM);
	if (fd >= 0)
		real(close)(fd);
	if (rc)
		snprintf(error, QMP_ERROR_MAX, "the new QEMU has no room to run the guest: %s", strerror(-rc));
	return rc;
}

/*
 * The commit: from the mark on this state is never loaded again. Only where QEMU says that it did not start the guest,
 * and the guest stands still, is the mark taken back: no instruction has run.
 */
static int commit(char error[QMP_ERROR_MAX])
{
	char status[QMP_ERROR_MAX];
	bool fails = fault_at("cont");
	int rc = 0;

	/* A QEMU that hangs would not answer "cont" either, and then nobody knew whether there is a way back. */
	if (clock_now() > deadline) {
		snprintf(error, QMP_ERROR_MAX, "the %s QEMU was not ready to run the guest in time", rollback_which());
		return -ETIMEDOUT;
	}
	if (has_room(error))
		return -ENOMEM;
	rollback_commit();
	if (fails) {
		snprintf(error, QMP_ERROR_MAX, "\"cont\" failed, " FAULT_TEXT);
		rc = -EIO;
	} else if (is_to_run()) {
		rc = qmp_do(&qmp_private, "cont", NULL, deadline, error);
	}
	vm_mark(JOURNAL_RUNNING);
	if (!rc)
		return 0;
	bool answered = !qmp_private.unanswered;
	deadline = qmp_in_ms(STATUS_MS);
	if (answered && !qmp_private.resumed && is_paused(status)) {
		rollback_uncommit();
		return rc;
	}
	reasons_note(&warnings, "QEMU did not say whether the guest runs (%s): look at it", error);
	return 0;
}

/* All that can be tried: without the device state, or with it; nobody has called for this QEMU. */
static void rehearse(void)
{
	struct cpr_stream *stream = &vm.cpr_state->stream[0];
	char error[QMP_ERROR_MAX] = "";
	int channel = stream->fd, fds[CHANNEL_FDS];
	struct channel_message message;

	if (come_up_beside(error))
		rollback_now("%s", error);
	if (channel < 0)
		real(_exit)(0);
	channel_say(channel, CHANNEL_UP);
	int rc = channel_receive(channel, &message, fds);
	if (rc)
		rollback_now("the device state did not come: %s", strerror(-rc));
	*stream = (struct cpr_stream){ .fd = slots_move(fds[0]), .length = message.length, .crc = message.crc };
	fault_at("view");
	if (map_ram(ramblocks_view, error) || connect_clients(error) || feed_open(deadline, error) || load(error))
		rollback_now("%s", error);
	if (fault_at("scribble"))
		ramblocks_scribble(deadline);
	channel_say(channel, CHANNEL_LOADED);
	real(_exit)(0);
}

/**
 * successor_bring_up() - from a QEMU that comes up to a guest that runs
 *
 * The service thread's first work in a successor. Does not return where the update fails.
 */
void successor_bring_up(void)
{
	char error[QMP_ERROR_MAX] = "";
	bool way_back = vm.journal->attempt > 1;

	start_clock();
	if (guard_rehearses())
		rehearse();
	int rc = prepare(error);
	if (!rc)
		rc = connect_guest(error);
	if (!rc)
		rc = commit(error);
	if (rc) {
		rollback_now("%s", error);
		/* On a way back that has no guardian there is nowhere else to go: QEMU stays as it is, for its operator. */
		log_error("the old QEMU did not take the guest back: %s", error);
		return;
	}
	if (takeover_is_one())
		takeover_done();
	rollback_disarm();
	fault_at("tidy");
	tidy_release_holder();
	tidy_up(&warnings);
	if (takeover_is_one() && !takeover_is_standin())
		takeover_settle(&warnings);
	json_t *result = result_of_successor(&warnings);
	reasons_free(&warnings);
	if (takeover_is_standin())
		takeover_give_back(result);
	else
		tidy_reap_holders();
	service_refuse_late();
	control_finish(vm.cpr_state->shim[0].requester_fd, result);
	slots_close(vm.cpr_state->stream[0].fd);
	slots_close(vm.cpr_state->binary[way_back ? 1 : 0].fd);
	slots_close(settings.state_fd);
	vm_drop_journal();
}
