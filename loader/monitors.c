/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* monitors.c - in a successor: the sessions of monitors' clients; see monitors.h. */
#include "monitors.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/real.h"
#include "../shim/session.h"
#include "../shim/slots.h"
#include "../state/jsonscan.h"
#include "clock.h"
#include "fdnames.h"
#include "qmp.h"
#include "vm.h"
#include "wire.h"

/* How long a client that does not read may hold up the end of an update; the guest runs by then. */
#define RESIDUE_MS 5000
/* How long a monitor may take to greet; it is up already. */
#define HANDSHAKE_MS 5000

/** monitors_is_one() - is this the connection of a monitor's client? */
bool monitors_is_one(const struct preserved *p)
{
	return (p->kind == FDKIND_CLIENT || p->kind == FDKIND_CONNECTION) &&
	       (p->protocol == SESSION_QMP || p->protocol == SESSION_HMP);
}

/*
 * Takes what a monitor writes to its decoy, up to @prompt, or up to the end of the line that a JSON value ends on: a
 * greeting.
 */
static int expect(struct decoy *d, const char *prompt, uint64_t until)
{
	struct jsonscan scan = { 0 };
	size_t matched = 0;
	bool ended = false;

	while (clock_now() < until) {
		struct pollfd wait = { .fd = d->peer, .events = POLLIN };
		char byte;
		ssize_t n = decoy_read(d, &byte, 1);

		if (n < 0)
			return (int)n;
		if (!n) {
			poll(&wait, 1, clock_left_ms(until));
		} else if (prompt) {
			matched = byte == prompt[matched] ? matched + 1 : byte == prompt[0];
			if (!prompt[matched])
				return 0;
		} else {
			ended |= jsonscan_feed(&scan, byte) == JSONSCAN_END;
			if (ended && byte == '\n')
				return 0;
		}
	}
	return -ETIMEDOUT;
}

static int say(struct decoy *d, const void *data, size_t len)
{
	return write(d->peer, data, len) == (ssize_t)len ? 0 : -EIO;
}

#define CAPABILITIES_ID "\"cprshim-capabilities\""

/* Takes an answer. An event may come before it: it is the client's. */
static int await(struct decoy *d, struct wire *w, const char *mark, uint64_t until)
{
	int rc = 0;

	while (!rc && !wire_take(w, mark)) {
		struct pollfd wait = { .fd = d->peer, .events = POLLIN };

		if (clock_now() > until)
			return -ETIMEDOUT;
		poll(&wait, 1, clock_left_ms(until));
		rc = wire_read(w, d);
	}
	return rc;
}

/* Negotiates as the client had done. */
static int negotiate(struct preserved *p, struct wire *w, uint64_t until)
{
	static const char plain[] = "{\"execute\": \"qmp_capabilities\", \"id\": " CAPABILITIES_ID "}\n";
	static const char oob[] = "{\"execute\": \"qmp_capabilities\", \"id\": " CAPABILITIES_ID
				  ", \"arguments\": {\"enable\": [\"oob\"]}}\n";
	const char *request = p->oob ? oob : plain;
	int rc = say(&p->decoy, request, strlen(request));

	return rc ? rc : await(&p->decoy, w, CAPABILITIES_ID, until);
}

#define GETFD_ID "\"cprshim-getfd\""

/* Passes in a descriptor as a client has done, and waits until the monitor is seen to have it. */
static int give_one(struct decoy *d, struct wire *w, const struct cpr_fdname *rec, int monitor, uint64_t until)
{
	json_t *command = json_pack("{s:s, s:s, s:{s:s}}", "execute", "getfd", "id", "cprshim-getfd", "arguments",
				    "fdname", rec->name);
	char *text = rec->hmp ? NULL : json_dumps(command, JSON_COMPACT);

	if (rec->hmp && asprintf(&text, "getfd %s\n", rec->name) < 0)
		text = NULL;
	int rc = text ? qmp_send_first(d->peer, text[0], rec->fd) : -ENOMEM;
	if (!rc)
		rc = say(d, text + 1, strlen(text + 1));
	free(text);
	json_decref(command);
	if (!rc)
		rc = rec->hmp ? expect(d, "(qemu) ", until) : await(d, w, GETFD_ID, until);
	/* Its answer is seen by us just before it is looked at on QEMU's side. */
	while (!rc && !fdnames_has(monitor, rec->name)) {
		struct pollfd nothing = { .fd = -1 };

		if (clock_now() > until)
			return -ENOENT;
		poll(&nothing, 1, 1);
	}
	return rc;
}

/*
 * What nobody had taken of what the monitor's clients have passed in. @number: the monitor's in the old program; @monitor:
 * in this one.
 */
static void give_descriptors(struct decoy *d, struct wire *w, int number, int monitor, struct reasons *warnings)
{
	uint64_t until = qmp_in_ms(HANDSHAKE_MS);

	for (uint32_t i = 0; i < vm.cpr_state->fdname_count; i++) {
		const struct cpr_fdname *rec = &vm.cpr_state->fdname[i];
		int rc = rec->monitor == number ? give_one(d, w, rec, monitor, until) : 0;

		if (rc)
			reasons_note(warnings, "descriptor \"%s\" was not passed in again: %s", rec->name,
				     strerror(-rc));
	}
}

/*
 * A monitor greets its decoy and is told what its client had said; the client sees nothing of it, but of what else was
 * sent.
 */
static int handshake(struct preserved *p, struct wire *w, struct reasons *warnings)
{
	uint64_t until = qmp_in_ms(HANDSHAKE_MS);
	int rc;

	if (p->protocol == SESSION_HMP) {
		rc = expect(&p->decoy, "(qemu) ", until);
	} else {
		rc = expect(&p->decoy, NULL, until);
		if (!rc && p->negotiated)
			rc = negotiate(p, w, until);
	}
	if (!rc)
		give_descriptors(&p->decoy, w, p->number, p->decoy.number, warnings);
	if (!rc && p->partial_len)
		rc = say(&p->decoy, p->partial, p->partial_len);
	if (!rc && p->telnet.len)
		rc = say(&p->decoy, p->telnet.begun, p->telnet.len);
	return rc;
}

static int pass_residue(struct preserved *p, uint64_t until)
{
	struct wire w = { .data = malloc(p->residue_len ? p->residue_len : 1), .len = p->residue_len };
	int rc = w.data ? 0 : -ENOMEM;

	if (w.data && p->residue_len)
		memcpy(w.data, p->residue, p->residue_len);
	if (!rc)
		rc = wire_flush(&w, p->decoy.real, until);
	wire_free(&w);
	return rc;
}

/* Sends on what a monitor has written to its decoy. */
static int pass_output(struct preserved *p, struct wire *w)
{
	static const char *const ours[] = { "MIGRATION", "MIGRATION_PASS", "RESUME", NULL };
	static const char *const shown[] = { "MIGRATION", "MIGRATION_PASS", NULL };
	int rc = wire_read(w, &p->decoy);

	if (rc)
		return rc;
	/* HMP echoes what it is given; its client has seen that already. */
	if (p->protocol == SESSION_HMP)
		w->len = 0;
	/* Users saw the stop where the guest was to stay stopped. */
	wire_drop_events(w, vm.cpr_state->vm[0].hold ? shown : ours);
	rc = wire_send(w, p->decoy.real);
	return !rc && w->len ? -EAGAIN : rc;
}

static int hand_monitor_over(struct preserved *p, struct reasons *warnings)
{
	uint64_t until = qmp_in_ms(RESIDUE_MS);
	struct wire w = { .data = NULL };
	int rc = handshake(p, &w, warnings);

	while (!rc && !decoy_consumed(&p->decoy) && clock_now() < until) {
		struct pollfd nothing = { .fd = -1 };

		poll(&nothing, 1, 1);
	}
	if (!rc)
		rc = pass_residue(p, until);
	if (!rc)
		rc = pass_output(p, &w);
	if (!rc)
		rc = decoy_switch(&p->decoy);
	/* An event may have come in between. */
	if (!rc)
		rc = pass_output(p, &w);
	wire_free(&w);
	return rc;
}

/* What was passed in to a monitor, as protocol; 0 where nothing was. */
static int given_to(int number)
{
	for (uint32_t i = 0; i < vm.cpr_state->fdname_count; i++)
		if (vm.cpr_state->fdname[i].monitor == number)
			return vm.cpr_state->fdname[i].hmp ? SESSION_HMP : SESSION_QMP;
	return SESSION_UNKNOWN;
}

/* A monitor without a client now: for a moment it has us. Only when it has seen us leave it may have another. */
static int visit(struct preserved *listener, struct reasons *warnings)
{
	struct preserved us = { .kind = FDKIND_CLIENT,
				.number = listener->number,
				.protocol = given_to(listener->number),
				.negotiated = true };
	struct wire w = { .data = NULL };
	uint64_t until = qmp_in_ms(HANDSHAKE_MS);

	if (us.protocol == SESSION_UNKNOWN)
		return 0;
	int rc = decoy_visit(&listener->decoy, &us.decoy);
	us.decoy.number = listener->decoy.number;
	if (!rc)
		rc = handshake(&us, &w, warnings);
	if (!rc)
		rc = decoy_leave(&us.decoy, clock_left_ms(until));
	wire_free(&w);
	us.decoy.peer = slots_close(us.decoy.peer);
	return rc;
}

static int open_gate(struct preserved *listener, struct reasons *warnings)
{
	int rc = visit(listener, warnings);

	if (rc)
		reasons_note(warnings, "what was passed in at descriptor %d was not passed in again: %s",
			     listener->decoy.number, strerror(-rc));
	return decoy_switch(&listener->decoy);
}

/**
 * monitors_hand_over() - give each monitor its client, and each listener its queue
 * @warnings: whose connection had to be dropped
 *
 * After the guest runs. The caller then does a round trip on the private monitor.
 */
void monitors_hand_over(struct reasons *warnings)
{
	for (size_t i = 0; i < preserved_count(); i++) {
		struct preserved *p = preserved_at(i);

		if (!p->decoy.placed || (!monitors_is_one(p) && p->kind != FDKIND_LISTENER))
			continue;
		int rc = p->kind == FDKIND_LISTENER ? open_gate(p, warnings) : hand_monitor_over(p, warnings);
		if (rc) {
			reasons_note(warnings, "the client on descriptor %d was dropped: %s", p->decoy.number,
				     strerror(-rc));
			shutdown(p->decoy.real, SHUT_RDWR);
			decoy_switch(&p->decoy);
		}
	}
}
