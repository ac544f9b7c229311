/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_shape.c - is a VM what it was when an earlier CPR state was written: what may move on, and what may not. */
#include "state/shape.h"

#include "test/unit/tap.h"

#include <stdlib.h>
#include <string.h>

static struct cprstate *before, *now;

static void set_up(struct cprstate *s)
{
	memset(s, 0, sizeof(*s));
	s->arg_count = s->ram_count = s->fdset_count = s->fdname_count = s->change_count = s->pin_count = 1;
	s->arg[0].text = "-S";
	s->ram[0] = (struct cpr_ram){ .name = "pc.ram", .fd = 900, .used = 4096, .max = 4096 };
	s->fd_count = 2;
	s->fd[0] = (struct cpr_fd){ .kind = 7, .number = 10, .fd = 901, .parent = -1, .name = "" };
	s->fd[1] = (struct cpr_fd){ .kind = 8, .number = 11, .fd = 902, .parent = 0, .name = "" };
	s->fdset[0] = (struct cpr_fdset){ .set = 1, .number = 12, .fd = 903, .opaque = "" };
	s->fdname[0] = (struct cpr_fdname){ .monitor = 9, .fd = 904, .name = "tap" };
	s->change[0] = (struct cpr_change){ .what = 1, .kind = "device", .id = "d0", .command = "{}" };
	s->pin[0] = (struct cpr_pin){ .kind = CPR_PIN_IMAGE, .fd = 904, .name = "", .path = "/disk" };
}

static bool is_found(const char *what)
{
	const char *differs = shape_differs(before, now);
	bool found = differs && !strcmp(differs, what) && shape_differs(now, before);

	set_up(now);
	return found;
}

static void test_same(void)
{
	static const uint8_t half[] = "{\"exec";

	set_up(now);
	ok(!shape_differs(before, now), "the same VM");
	now->vm[0].running = 1;
	now->stream_count = 1;
	now->ram[0].used = 8192;
	now->ram[0].fd = now->fd[0].fd = now->fdset[0].fd = now->fdname[0].fd = now->pin[0].fd = 5;
	now->fd[1].partial = (struct cpr_bytes){ half, sizeof(half) };
	now->fd[1].residue = (struct cpr_bytes){ half, sizeof(half) };
	ok(!shape_differs(before, now), "what moves on, and numbers of descriptors");
	set_up(now);
}

static void test_connections(void)
{
	static const uint8_t addr[] = { 1, 0, '/' };

	now->fd_count = 1;
	ok(is_found("its connections"), "a client is gone");
	now->fd[1].number = 13;
	ok(is_found("its connections"), "another number");
	now->fd[1].parent = -1;
	ok(is_found("its connections"), "another listener");
	now->fd[0].addr = (struct cpr_bytes){ addr, sizeof(addr) };
	ok(is_found("its connections"), "another address");
	now->fd[1].negotiated = 1;
	ok(is_found("its connections"), "a client that has said more");
}

static void test_rest(void)
{
	now->arg[0].text = "-s";
	ok(is_found("its arguments"), "another argument");
	now->ram[0].max = 8192;
	ok(is_found("its memory"), "a block of another size");
	now->ram_count = 0;
	ok(is_found("its memory"), "a block that is gone");
	now->fdset[0].set = 2;
	ok(is_found("its descriptor sets"), "another set");
	now->fdname[0].name = "other";
	ok(is_found("what was passed in to its monitors"), "another name");
	now->change[0].command = "{\"a\": 1}";
	ok(is_found("its devices or settings"), "another setting");
	now->pin[0].path = "/other";
	ok(is_found("its files"), "another image");
}

int main(void)
{
	before = malloc(sizeof(*before));
	now = malloc(sizeof(*now));
	if (!before || !now)
		return 1;
	set_up(before);
	test_same();
	test_connections();
	test_rest();
	free(before);
	free(now);
	return tap_done();
}
