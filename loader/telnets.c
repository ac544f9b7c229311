/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* telnets.c - telnet clients of character devices; see telnets.h. */
#include "telnets.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/preserved.h"
#include "../shim/session.h"
#include "chardevs.h"
#include "clock.h"
#include "qmp.h"

/* How long QEMU may take to greet whom it has accepted: it does so in the next round of its loop. */
#define GREETING_MS 1000

static bool is_client(const struct planned *p)
{
	return p->it.kind == FDKIND_CLIENT && p->action == PLAN_PRESERVE && p->chardev;
}

/** telnets_check() - is it known of every telnet client how far it is? */
void telnets_check(const struct plan *plan, const json_t *chardevs, struct reasons *blockers)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];
		const json_t *dev = is_client(p) ? chardevs_of(&p->it, chardevs) : NULL;
		const char *name = json_string_value(json_object_get(dev, "filename"));

		if (name && !strncmp(name, "telnet:", 7) && !session_is_telnet(p->it.fd))
			reasons_add(blockers, BLOCKER_CHARDEV_SESSION,
				    "character device %s: it is not known what its telnet client was told",
				    json_string_value(json_object_get(dev, "label")));
	}
}

/** telnets_put() - write how far they are into a state; nothing is read from them any more */
void telnets_put(struct codec_writer *w, const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];
		struct session s = { .fd = -1 };

		if (!is_client(p) || !session_copy(p->it.fd, &s))
			continue;
		if (s.telnet.on)
			cprstate_put_telnet(w, &(struct cpr_telnet){ .number = p->it.fd,
								     .begun = { s.telnet.begun, s.telnet.len } });
		free(s.partial);
	}
}

static struct preserved *client_of(int number)
{
	for (size_t i = 0; i < preserved_count(); i++)
		if (preserved_at(i)->number == number && preserved_at(i)->kind == FDKIND_CLIENT)
			return preserved_at(i);
	return NULL;
}

/**
 * telnets_adopt() - in a successor: how far clients were
 * @state: before main(), and once more where the old QEMU has read on since (takeover.c)
 *
 * Return: 0 or a negative errno.
 */
int telnets_adopt(const struct cprstate *state)
{
	for (uint32_t i = 0; i < state->telnet_count; i++) {
		const struct cpr_telnet *rec = &state->telnet[i];
		struct preserved *p = client_of(rec->number);

		if (!p || rec->begun.len > sizeof(p->telnet.begun))
			return -EINVAL;
		p->telnet.on = true;
		p->telnet.len = rec->begun.len;
		if (rec->begun.len)
			memcpy(p->telnet.begun, rec->begun.data, rec->begun.len);
		if (p->decoy.placed)
			session_restore_telnet(p->decoy.number, &p->telnet);
	}
	return 0;
}

/* Takes the greeting, and nothing after it. */
static bool take_greeting(struct preserved *p, uint64_t until)
{
	char text[TELNET_GREETING_LEN];
	size_t n = 0;

	while (n < sizeof(text) && clock_now() < until) {
		struct pollfd wait = { .fd = p->decoy.peer, .events = POLLIN };
		ssize_t got = poll(&wait, 1, clock_left_ms(until)) > 0
				      ? decoy_read(&p->decoy, text + n, sizeof(text) - n)
				      : 0;

		if (got < 0)
			return false;
		n += (size_t)got;
	}
	return n == sizeof(text) && !memcmp(text, TELNET_GREETING, n);
}

/**
 * telnets_wait() - wait until QEMU has greeted the decoys of telnet clients, and drop what it said
 * @deadline_ns: CLOCK_MONOTONIC
 * @warnings:	 who was greeted otherwise, and may hear it again
 *
 * It has accepted them all; before it may be told that it can write no more (decoy_fill()).
 */
void telnets_wait(uint64_t deadline_ns, struct reasons *warnings)
{
	uint64_t until = qmp_in_ms(GREETING_MS);

	if (until > deadline_ns)
		until = deadline_ns;
	for (size_t i = 0; i < preserved_count(); i++) {
		struct preserved *p = preserved_at(i);

		if (p->telnet.on && p->decoy.placed && !take_greeting(p, until))
			reasons_note(warnings, "descriptor %d: QEMU greets telnet clients otherwise than it did",
				     p->number);
	}
}
