/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* mux.c - keys that were typed at multiplexers and monitors; see mux.h. */
#include "mux.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../shim/preserved.h"
#include "../shim/real.h"
#include "../shim/session.h"
#include "argv.h"
#include "clock.h"
#include "qmp.h"
#include "vm.h"

/* How long QEMU may take to deal with keys; it is up already. */
#define KEYS_MS 500
/* More rounds that a terminal gets: what is written to its other end comes to QEMU by way of a kernel thread. */
#define TERMINAL_ROUNDS 5
/* No more front ends than this are possible (chardev/chardev-internal.h, MAX_MUX). */
#define FRONTENDS_MAX 4

/* What a monitor that has the focus has got of a line: without the keys that were not its, and since it has the focus. */
static size_t typed_line(const struct session *s, bool muxed, uint8_t *ret)
{
	char escape = argv_escape(vm.argv);
	bool escaped = false;
	size_t n = 0;

	for (size_t i = 0; i < s->partial_len; i++) {
		char byte = s->partial[i];

		if (muxed && !escaped && byte == escape) {
			escaped = true;
			continue;
		}
		if (escaped && byte == 'c')
			n = 0;
		if (!escaped || byte == escape)
			ret[n++] = (uint8_t)byte;
		escaped = false;
	}
	return n;
}

/** mux_save() - write what was typed into a state */
void mux_save(struct codec_writer *w, const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];
		bool terminal = p->it.kind == FDKIND_PTY_MASTER || (p->it.kind == FDKIND_STDIO && plan->stdio);
		struct session s = { .fd = -1 };

		if (p->action != PLAN_PRESERVE || (!terminal && !p->frontends) || !session_copy(p->it.fd, &s))
			continue;
		uint8_t *line = malloc(s.partial_len + 1);
		if (line && (p->frontends || s.protocol == SESSION_HMP))
			cprstate_put_console(
				w, &(struct cpr_console){
					   .number = p->it.fd,
					   .frontends = p->frontends,
					   .switches = s.keys.switches,
					   .stamps = s.keys.stamps,
					   .escaped = s.keys.escaped,
					   .line = { line, (uint32_t)typed_line(&s, p->frontends != 0, line) },
				   });
		free(line);
		free(s.partial);
	}
}

static struct decoy *decoy_of(int number)
{
	for (size_t i = 0; i < preserved_count(); i++) {
		struct preserved *p = preserved_at(i);

		if (p->number == number && p->decoy.placed && p->decoy.peer >= 0)
			return &p->decoy;
	}
	return NULL;
}

/**
 * struct console - a terminal in a successor
 * @in, @out: the decoys that QEMU reads and writes
 * @text:     the last that QEMU wrote
 * @len:      bytes there
 */
struct console {
	struct decoy *in;
	struct decoy *out;
	char text[4096];
	size_t len;
};

static void drain(struct console *c)
{
	ssize_t n;

	do {
		/* Of much, the end matters. */
		if (c->len > sizeof(c->text) / 2) {
			memmove(c->text, c->text + c->len / 2, c->len - c->len / 2);
			c->len -= c->len / 2;
		}
		n = decoy_read(c->out, c->text + c->len, sizeof(c->text) - c->len);
		c->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
}

static bool has_unread(const struct console *c)
{
	int there = 0, on_its_way = 0;

	real(ioctl)(c->in->number, FIONREAD, &there);
	real(ioctl)(c->in->peer, TIOCOUTQ, &on_its_way);
	return there > 0 || on_its_way > 0;
}

/* Types, and waits until QEMU has dealt with it; what it prints is in @c->text. */
static void type(struct console *c, const void *keys, size_t len, uint64_t deadline)
{
	uint64_t until = qmp_in_ms(KEYS_MS);
	char error[QMP_ERROR_MAX];
	int rounds = c->in->kind == FDKIND_PTY_MASTER ? TERMINAL_ROUNDS : 1;

	c->len = 0;
	if (!len || write(c->in->peer, keys, len) != (ssize_t)len)
		return;
	do {
		struct pollfd nothing = { .fd = -1 };

		if (rounds > 1)
			poll(&nothing, 1, 1);
		if (qmp_do(&qmp_private, "query-status", NULL, deadline, error))
			return;
		drain(c);
		rounds -= !has_unread(c);
	} while (rounds > 0 && clock_now() < until);
}

static bool is_at_prompt(const struct console *c)
{
	return memmem(c->text, c->len, "(qemu)", 6) != NULL;
}

/*
 * A monitor greets when it has the focus for the first time (monitor/hmp.c:monitor_event), so each gets it once; then
 * the focus goes where it was.
 */
static bool turn_focus(struct console *c, const struct cpr_console *rec, uint64_t deadline)
{
	char turn[] = { argv_escape(vm.argv), 'c' };
	unsigned int turns = rec->frontends ? rec->frontends + rec->switches % rec->frontends : 0;

	while (turns--)
		type(c, turn, sizeof(turn), deadline);
	return is_at_prompt(c);
}

static void restore_one(const struct cpr_console *rec, uint64_t deadline)
{
	struct console c = { .in = decoy_of(rec->number) };
	char stamps[] = { argv_escape(vm.argv), 't' };

	c.out = rec->number == STDIN_FILENO ? decoy_of(STDOUT_FILENO) : c.in;
	if (!c.in || !c.out || rec->frontends > FRONTENDS_MAX)
		return;
	/* One alone has greeted already. */
	if (rec->frontends ? turn_focus(&c, rec, deadline) : true)
		type(&c, rec->line.data, rec->line.len, deadline);
	if (rec->stamps)
		type(&c, stamps, sizeof(stamps), deadline);
	if (rec->escaped && rec->frontends)
		type(&c, stamps, 1, deadline);
	drain(&c);
}

/** mux_restore() - lead a successor to where its predecessor was; before its terminals are its own again */
void mux_restore(const struct cprstate *state, uint64_t deadline_ns)
{
	for (uint32_t i = 0; i < state->console_count; i++)
		restore_one(&state->console[i], deadline_ns);
}
