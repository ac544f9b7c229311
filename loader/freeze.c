/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* freeze.c - nobody but us moves the guest; see freeze.h. */
#include "freeze.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/session.h"
#include "../shim/slots.h"
#include "qmp.h"
#include "vm.h"
#include "wire.h"

/*
 * The dispatcher serves monitors in turn (monitor/qmp.c), and each may have 8 requests queued when out-of-band
 * execution is on (QMP_REQ_QUEUE_LEN_MAX): after 9 commands of ours every queue that nobody fills any more is empty.
 */
#define BARRIERS 9
/* How long a client may take to make room: before the exec, with the guest stopped, and when the guest goes on. */
#define ROOM_MS	   1000
#define STALLED_MS 5000
#define UNDO_MS	   30000

/* A monitor alone on a connection; one behind a multiplexer is a part of a stream of bytes. */
static bool is_monitor(const struct planned *p)
{
	int protocol = session_protocol(p->it.fd);

	return (p->it.kind == FDKIND_CLIENT || p->it.kind == FDKIND_CONNECTION) && !p->frontends &&
	       (protocol == SESSION_QMP || protocol == SESSION_HMP);
}

/* A device's client that does not read: QEMU holds output back, and must go on to. */
static bool is_stalled(const struct planned *p, int real)
{
	struct pollfd room = { .fd = real, .events = POLLOUT };

	/* Half a packet that was sent must have its other half. */
	if (p->netdev && (!plan_has_packets(p) || !session_is_between(p->it.fd)))
		return false;
	switch (p->it.kind) {
	case FDKIND_CLIENT:
	case FDKIND_CONNECTION:
		return !is_monitor(p) && !poll(&room, 1, 0);
	case FDKIND_PIPE:
	case FDKIND_PTY_MASTER:
		return !poll(&room, 1, 0);
	default:
		return false;
	}
}

static int hold(struct freeze *f, const struct planned *p)
{
	if (f->held_count == FREEZE_MAX)
		return -ENOSPC;
	int real = slots_park(p->it.fd);
	if (real < 0)
		return real;
	/*
	 * QEMU leaves connections that it accepts blocking (net/stream.c, net/socket.c), and on its decoy it would wait
	 * for a packet in its main loop.
	 */
	if (p->netdev)
		real(fcntl)(real, F_SETFL, real(fcntl)(real, F_GETFL) | O_NONBLOCK);
	struct decoy *d = &f->held[f->held_count];
	d->packets = plan_has_packets(p);
	int rc = is_stalled(p, real) ? decoy_place_full(d, p->it.kind, p->it.fd, real)
				     : decoy_place(d, p->it.kind, p->it.fd, real);
	if (rc) {
		slots_close(real);
		return rc;
	}
	f->monitor[f->held_count++] = is_monitor(p);
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
 * freeze_gates() - from here on nobody new comes in; whoever comes waits for freeze_undo(), or for the successor
 * @f:		 zeroed, with state_fd -1; nothing is done where that has been done
 * @plan:	 the plan; to be made again afterwards, as a client may just have come
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Return: 0 or a negative errno.
 */
int freeze_gates(struct freeze *f, const struct plan *plan, uint64_t deadline_ns)
{
	for (size_t i = 0; i < plan->count && !f->gated; i++) {
		bool gate = plan->fds[i].it.kind == FDKIND_LISTENER && !plan->fds[i].named;
		int rc = gate ? hold(f, &plan->fds[i]) : 0;

		if (rc)
			return rc;
	}
	if (!f->gated)
		f->gate_count = f->held_count;
	f->gated = true;
	return barrier(1, deadline_ns);
}

static bool is_input(const struct planned *p, const struct plan *plan)
{
	/* Nobody uses it. */
	if (p->named)
		return false;
	switch (p->it.kind) {
	case FDKIND_CLIENT:
	case FDKIND_CONNECTION:
	case FDKIND_FILE:
	case FDKIND_PIPE:
		return (p->chardev && !p->partner) || p->netdev;
	case FDKIND_SOCKET:
		return p->action == PLAN_PRESERVE;
	case FDKIND_TAP:
	case FDKIND_PTY_MASTER:
		return true;
	case FDKIND_STDIO:
		return plan->stdio && p->it.fd == STDIN_FILENO;
	default:
		return false;
	}
}

/**
 * freeze_inputs() - from here on no command but ours is begun, no byte and no packet comes in
 * @f:		 after freeze_gates()
 * @plan:	 a plan made since
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * The guest still runs. What it sends from here on is forwarded by freeze_collect().
 *
 * Return: 0 or a negative errno.
 */
int freeze_inputs(struct freeze *f, const struct plan *plan, uint64_t deadline_ns)
{
	for (size_t i = 0; i < plan->count; i++) {
		int rc = is_input(&plan->fds[i], plan) ? hold(f, &plan->fds[i]) : 0;

		/* One that was closed since the plan was made; it is made once more, with everything held. */
		if (rc && rc != -EBADF)
			return rc;
	}
	return barrier(BARRIERS, deadline_ns);
}

/* Our own "stop" and "cont" are nobody's business, unless the guest is to stay stopped. */
static void drop_own_events(const struct freeze *f, struct wire *w)
{
	static const char *const ours[] = { "STOP", "RESUME", NULL };

	if (f->halt.stopped && !f->stop_is_shown)
		wire_drop_events(w, ours);
}

/* Whoever is gone is noticed by who reads next. */
static bool is_gone(int rc)
{
	return rc == -EPIPE || rc == -ECONNRESET || rc == -EIO;
}

static bool keeps_packets_apart(const struct decoy *d)
{
	return d->kind == FDKIND_TAP || decoy_is_datagram(d->real);
}

/* Passes on what there is room for; the rest stays in @f. */
static int collect_one(struct freeze *f, size_t i)
{
	struct decoy *d = &f->held[i];
	struct wire *w = &f->pending[i];
	int rc = 0;

	if (keeps_packets_apart(d)) {
		rc = decoy_forward(d);
	} else if (!d->full) {
		rc = wire_read(w, d);
		if (!rc && f->monitor[i])
			drop_own_events(f, w);
		if (!rc)
			rc = wire_send(w, d->real);
	}
	if (is_gone(rc)) {
		wire_free(w);
		rc = 0;
	}
	return rc;
}

static int tell_of_output(int rc, struct reasons *reasons)
{
	if (rc)
		reasons_add(reasons, BLOCKER_INPUTS_HELD, "output of the old QEMU could not be passed on: %s",
			    strerror(-rc));
	return rc;
}

/**
 * freeze_collect() - pass on what QEMU wrote to decoys
 * @f:	     with decoys in place
 * @reasons: what went wrong
 *
 * What a monitor's client has no room for is kept, see freeze_pending().
 *
 * Return: 0 or a negative errno.
 */
int freeze_collect(struct freeze *f, struct reasons *reasons)
{
	uint64_t until = qmp_in_ms(ROOM_MS);

	for (size_t i = 0; i < f->held_count; i++) {
		int rc = collect_one(f, i);

		if (!rc && !f->monitor[i])
			rc = wire_flush(&f->pending[i], f->held[i].real, until);
		if (rc && !is_gone(rc))
			return tell_of_output(rc, reasons);
	}
	return 0;
}

/* What waits for a client is in the state already. Where more has come for it, that stays here, for freeze_undo(). */
static int collect_one_late(struct freeze *f, size_t i)
{
	struct wire *w = &f->pending[i];
	size_t before = w->len;
	int rc = before ? wire_read(w, &f->held[i]) : collect_one(f, i);

	if (!rc && before)
		drop_own_events(f, w);
	return !rc && w->len > before ? -EAGAIN : rc;
}

/**
 * freeze_collect_late() - freeze_collect() once more, after the state was written
 * @f:	     after halt_save_end()
 * @reasons: what went wrong
 *
 * A monitor may have been told of something in those few tenths of a millisecond.
 *
 * Return: 0 or a negative errno.
 */
int freeze_collect_late(struct freeze *f, struct reasons *reasons)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < f->held_count; i++)
		rc = collect_one_late(f, i);
	return tell_of_output(rc, reasons);
}

/* What was written is sent before QEMU can send more, however long that takes a client that reads at all. */
static void flush_one(struct freeze *f, size_t i, uint64_t until)
{
	int rc = collect_one(f, i);

	if (!rc)
		rc = wire_flush(&f->pending[i], f->held[i].real, until);
	if (rc && !is_gone(rc)) {
		log_warn("the client on descriptor %d did not read and was dropped", f->held[i].number);
		shutdown(f->held[i].real, SHUT_RDWR);
	}
	wire_free(&f->pending[i]);
}

static void put_back(struct decoy *d)
{
	if (decoy_switch(d))
		log_error("descriptor %d could not be put back", d->number);
}

/* All that is held from one on. */
static void give_back(struct freeze *f, size_t first, uint64_t deadline)
{
	uint64_t until = qmp_in_ms(STALLED_MS);

	for (size_t i = first; i < f->held_count; i++) {
		collect_one(f, i);
		if (f->held[i].placed && !f->pending[i].len)
			put_back(&f->held[i]);
	}
	f->stop_is_shown = true; /* from here on it is not ours */
	for (size_t i = first; i < f->held_count; i++)
		if (f->held[i].placed) {
			flush_one(f, i, until);
			put_back(&f->held[i]);
		}
	barrier(1, deadline);
	for (size_t i = first; i < f->held_count; i++) {
		flush_one(f, i, until); /* what was written right before it was put back */
		decoy_done(&f->held[i]);
	}
	f->held_count = first;
}

/** freeze_release_inputs() - undo freeze_inputs() alone: whoever comes still waits, and the guest was not stopped */
void freeze_release_inputs(struct freeze *f)
{
	give_back(f, f->gate_count, qmp_in_ms(UNDO_MS));
}

/**
 * freeze_undo() - the guest goes on in this process
 * @f:	     however far it has come
 * @running: it ran before
 *
 * A guest that the user had paused stays so, and gets its images back.
 */
void freeze_undo(struct freeze *f, bool running)
{
	uint64_t deadline = qmp_in_ms(UNDO_MS);

	halt_await(&f->halt, deadline);
	/* "cont" gives a tap's descriptor to vhost (vhost_net.c:vhost_net_start_one), which takes no decoy. */
	for (size_t i = 0; i < f->held_count; i++)
		if (f->held[i].kind == FDKIND_TAP && f->held[i].placed) {
			collect_one(f, i);
			put_back(&f->held[i]);
		}
	halt_go_on(&f->halt, running, deadline);
	vm_mark(JOURNAL_RUNNING);
	give_back(f, 0, deadline);
	halt_end(&f->halt);
	f->gated = false;
	f->gate_count = 0;
}

/** freeze_pending() - what the client of a number has had no room for, or NULL */
const struct wire *freeze_pending(const struct freeze *f, int fd)
{
	for (size_t i = 0; i < f->held_count; i++)
		if (f->held[i].number == fd)
			return &f->pending[i];
	return NULL;
}

/** freeze_decoy() - the decoy under a number, or NULL */
const struct decoy *freeze_decoy(const struct freeze *f, int fd)
{
	for (size_t i = 0; i < f->held_count; i++)
		if (f->held[i].number == fd)
			return &f->held[i];
	return NULL;
}
