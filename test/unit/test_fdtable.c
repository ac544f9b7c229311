/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * test_fdtable.c - the descriptor table: changes, the published copy, snapshots of it while it is written, hostile
 * bytes.
 */
#include "state/fdtable.h"

#include "test/unit/tap.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static struct fdtable *private_table, *published, *copy;

static struct fdrec record(enum fdkind kind, const char *detail)
{
	struct fdrec rec = {
		.kind = (uint16_t)kind,
		.detail_type = FDDETAIL_TEXT,
		.detail_len = (uint8_t)strlen(detail),
		.parent = -1,
	};

	memcpy(rec.detail, detail, rec.detail_len);
	return rec;
}

static void fresh(void)
{
	memset(private_table, 0, sizeof(*private_table));
	memset(published, 0, sizeof(*published));
	fdtable_init(private_table, 4711, 3);
	fdtable_publish(published, private_table, -1);
}

static int snapshot(void)
{
	return fdtable_snapshot(copy, published, sizeof(*published));
}

static void set(int fd, const struct fdrec *rec)
{
	fdtable_set(private_table, fd, rec);
	fdtable_publish(published, private_table, fd);
}

static void test_kinds(void)
{
	bool all = true;

	for (unsigned int kind = 0; kind < FDKIND_COUNT; kind++)
		all = all && strcmp(fdkind_text(kind), "unknown") != 0;
	ok(all, "every kind has a name");
	ok(!strcmp(fdkind_text(FDKIND_MEMFD), "memfd"), "a kind's name is its own");
	ok(!strcmp(fdkind_text(FDKIND_COUNT), "unknown"), "the first free number is unknown");
	ok(!strcmp(fdkind_text(~0u), "unknown"), "the highest number is unknown");
}

static void test_set_and_clear(void)
{
	struct fdrec memfd = record(FDKIND_MEMFD, "ram"), tap_device = record(FDKIND_TAP, "tap0");
	const struct fdrec *found;

	fresh();
	ok(!fdtable_get(private_table, 7), "an empty table knows no descriptor");
	ok(!fdtable_clear(private_table, 7), "clearing what is not there says so");
	ok(fdtable_set(private_table, 7, &memfd), "a record is taken");
	found = fdtable_get(private_table, 7);
	ok(found && found->kind == FDKIND_MEMFD && !memcmp(found->detail, "ram", 4), "and found again");
	ok(found && found->seq == 1, "the first record is the first in order");
	ok(fdtable_set(private_table, 9, &tap_device) && fdtable_get(private_table, 9)->seq == 2,
	   "the second is the second");
	ok(private_table->used == 2, "two are in use");
	ok(fdtable_set(private_table, 7, &tap_device), "a record is replaced");
	ok(private_table->used == 2 && fdtable_get(private_table, 7)->kind == FDKIND_TAP, "without counting it twice");
	ok(fdtable_get(private_table, 7)->seq == 3, "a replacement is a new creation");
	memfd.seq = 40;
	ok(fdtable_set(private_table, 8, &memfd) && fdtable_get(private_table, 8)->seq == 40,
	   "a seq that is given stays");
	ok(fdtable_clear(private_table, 7) && fdtable_clear(private_table, 8) && fdtable_clear(private_table, 9),
	   "all are cleared");
	ok(!fdtable_get(private_table, 7) && !private_table->used, "and gone");
	ok(!private_table->checksum, "an empty table's checksum is 0 again");
	ok(!private_table->incomplete, "nothing made it incomplete");
}

static void test_range(void)
{
	static const int outside[] = { -1, -4096, (int)FDTABLE_SLOTS, INT32_MAX, INT32_MIN };
	struct fdrec file = record(FDKIND_FILE, "/x"), none = record(FDKIND_NONE, "");

	fresh();
	ok(fdtable_set(private_table, 0, &file), "the lowest number is taken");
	ok(fdtable_set(private_table, (int)FDTABLE_SLOTS - 1, &file), "the highest number is taken");
	ok(!private_table->incomplete, "the table is complete");
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
		fresh();
		ok(!fdtable_set(private_table, outside[i], &file) && private_table->incomplete,
		   "%d makes it incomplete", outside[i]);
		ok(!fdtable_get(private_table, outside[i]) && !fdtable_clear(private_table, outside[i]),
		   "%d is not found", outside[i]);
		fdtable_publish(published, private_table, outside[i]);
		ok(snapshot() == 0 && copy->incomplete && copy->reason[0], "%d: the reason is published", outside[i]);
	}
	fresh();
	ok(!fdtable_set(private_table, 3, &none) && !private_table->used, "a record of no kind is not taken");
}

static void test_incomplete(void)
{
	char text[2 * FDTABLE_REASON];

	fresh();
	fdtable_mark_incomplete(private_table, "first");
	fdtable_mark_incomplete(private_table, "second");
	ok(!strcmp(private_table->reason, "first"), "the first reason stays");
	fresh();
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	fdtable_mark_incomplete(private_table, text);
	ok(strlen(private_table->reason) == FDTABLE_REASON - 1, "a long reason is cut and ended");
	fdtable_publish(published, private_table, -1);
	ok(snapshot() == 0, "and published");
}

static void test_publish(void)
{
	struct fdrec memfd = record(FDKIND_MEMFD, "ram");

	fresh();
	ok(snapshot() == 0 && !copy->used && copy->pid == 4711 && copy->generation == 3, "an empty table is published");
	set(5, &memfd);
	ok(snapshot() == 0 && fdtable_get(copy, 5) && copy->used == 1, "a record is published");
	ok(!memcmp(&copy->rec[5], &private_table->rec[5], sizeof(copy->rec[5])), "byte for byte");
	fdtable_clear(private_table, 5);
	fdtable_publish(published, private_table, 5);
	ok(snapshot() == 0 && !fdtable_get(copy, 5), "its end is published");
	fdtable_set(private_table, 6, &memfd);
	fdtable_publish(published, private_table, -1);
	ok(snapshot() == -EBADMSG, "a change whose record was not published is found");
	fdtable_publish(published, private_table, 6);
	ok(snapshot() == 0, "until it is");
}

/* One way to damage a published table, and what a snapshot says to it. */
struct damage {
	const char *name;
	void (*apply)(struct fdtable *t);
	int expected;
};

static void damage_magic(struct fdtable *t)
{
	t->magic ^= 1;
}

static void damage_version(struct fdtable *t)
{
	t->version++;
}

static void damage_slots(struct fdtable *t)
{
	t->slots *= 2;
}

static void damage_seqlock(struct fdtable *t)
{
	t->seqlock |= 1;
}

static void damage_checksum(struct fdtable *t)
{
	t->checksum ^= UINT64_C(1) << 63;
}

static void damage_used(struct fdtable *t)
{
	t->used++;
}

static void damage_detail(struct fdtable *t)
{
	t->rec[5].detail[2] ^= 0x20;
}

static void damage_detail_unused(struct fdtable *t)
{
	t->rec[5].detail[FDTABLE_DETAIL - 1] = 1;
}

static void damage_free_slot(struct fdtable *t)
{
	t->rec[6].kind = FDKIND_KVM;
}

static void damage_moved(struct fdtable *t)
{
	t->rec[6] = t->rec[5];
	memset(&t->rec[5], 0, sizeof(t->rec[5]));
}

static void damage_reason(struct fdtable *t)
{
	memset(t->reason, 'x', sizeof(t->reason));
}

/* The next two have a valid checksum: only the limits stop them. */
static void damage_detail_len(struct fdtable *t)
{
	t->checksum ^= fdrec_hash(&t->rec[5], 5);
	t->rec[5].detail_len = FDTABLE_DETAIL + 1;
	t->checksum ^= fdrec_hash(&t->rec[5], 5);
}

static void damage_detail_type(struct fdtable *t)
{
	t->checksum ^= fdrec_hash(&t->rec[5], 5);
	t->rec[5].detail_type = FDDETAIL_ADDR + 1;
	t->checksum ^= fdrec_hash(&t->rec[5], 5);
}

static void test_damage(void)
{
	static const struct damage damages[] = {
		{ "magic", damage_magic, -EBADMSG },
		{ "version", damage_version, -EPROTONOSUPPORT },
		{ "number of slots", damage_slots, -EBADMSG },
		{ "a writer that never ends", damage_seqlock, -EAGAIN },
		{ "checksum", damage_checksum, -EBADMSG },
		{ "number in use", damage_used, -EBADMSG },
		{ "one bit of a record", damage_detail, -EBADMSG },
		{ "a record's unused bytes", damage_detail_unused, -EBADMSG },
		{ "a record out of nowhere", damage_free_slot, -EBADMSG },
		{ "a record under another number", damage_moved, -EBADMSG },
		{ "a reason without an end", damage_reason, -EBADMSG },
		{ "detail_len beyond detail", damage_detail_len, -EBADMSG },
		{ "unknown detail_type", damage_detail_type, -EBADMSG },
	};
	struct fdrec memfd = record(FDKIND_MEMFD, "ram");

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		fresh();
		set(5, &memfd);
		damages[i].apply(published);
		ok(snapshot() == damages[i].expected, "damage is found: %s", damages[i].name);
	}
	fresh();
	ok(fdtable_snapshot(copy, published, sizeof(*published) - 1) == -EBADMSG, "a short mapping is no table");
	ok(fdtable_snapshot(copy, published, 0) == -EBADMSG, "an empty mapping is no table");
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Whatever stands there, a snapshot ends, and what it accepts keeps the limits that readers rely on. */
static void test_hostile(void)
{
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
	unsigned char *bytes = (unsigned char *)published;
	unsigned int accepted = 0, broken = 0;
	struct fdrec memfd = record(FDKIND_MEMFD, "ram");

	for (int round = 0; round < 200; round++) {
		fresh();
		for (int fd = 0; fd < 20; fd++)
			set(fd, &memfd);
		for (uint64_t n = next_random(&seed) % 8 + 1; n > 0; n--)
			bytes[next_random(&seed) % (offsetof(struct fdtable, rec) + 24 * sizeof(struct fdrec))] =
				(unsigned char)next_random(&seed);
		if (snapshot() != 0)
			continue;
		accepted++;
		for (uint32_t fd = 0; fd < FDTABLE_SLOTS; fd++)
			if (copy->rec[fd].detail_len > FDTABLE_DETAIL)
				broken++;
	}
	ok(!broken, "200 tables with random bytes: none accepted that breaks a limit (%u accepted)", accepted);
	for (size_t i = 0; i < sizeof(*published); i++)
		bytes[i] = (unsigned char)next_random(&seed);
	published->seqlock = 0;
	ok(snapshot() == -EBADMSG, "noise is no table");
}

static atomic_bool writer_stop;

/*
 * Writes for ever, in the way that the test can check: every record in use under the numbers 10 to 39 is of one kind
 * and one round in each published state, because each round is published in the order of its numbers.
 */
static void *writer(void *unused)
{
	for (uint32_t round = 1; !atomic_load(&writer_stop); round++) {
		int fd = 10 + (int)(round % 30);
		struct fdrec rec = record(round % 2 ? FDKIND_MEMFD : FDKIND_EVENTFD, "concurrent");

		rec.open_flags = round;
		rec.parent = fd;
		if (round % 5 == 4)
			fdtable_clear(private_table, fd);
		else
			fdtable_set(private_table, fd, &rec);
		fdtable_publish(published, private_table, fd);
		/*
		 * The VMM does not change its descriptors without a pause either; without one no quiet moment is found.
		 */
		for (int pause = 0; pause < 20000 && round % 3 == 0; pause++)
			__asm__ volatile("" ::: "memory");
	}
	return unused;
}

static bool consistent(const struct fdtable *t)
{
	for (int fd = 10; fd < 40; fd++) {
		const struct fdrec *rec = fdtable_get(t, fd);

		if (!rec)
			continue;
		if (rec->parent != fd || 10 + (int)(rec->open_flags % 30) != fd || rec->seq >= t->next_seq)
			return false;
		if (rec->kind != (rec->open_flags % 2 ? FDKIND_MEMFD : FDKIND_EVENTFD))
			return false;
	}
	return true;
}

static void test_concurrent(void)
{
	unsigned int good = 0, again = 0, bad = 0;
	uint64_t last = 0;
	pthread_t thread;

	fresh();
	if (!ok(!pthread_create(&thread, NULL, writer, NULL), "a writer runs"))
		return;
	for (int i = 0; i < 1000 && good < 50; i++) {
		int rc = snapshot();

		if (rc == -EAGAIN) {
			again++;
			continue;
		}
		if (rc != 0 || !consistent(copy) || copy->seqlock < last)
			bad++;
		else
			good++;
		last = copy->seqlock;
	}
	atomic_store(&writer_stop, true);
	pthread_join(thread, NULL);
	ok(!bad, "no snapshot is torn while the table is written (%u good, %u without a quiet moment)", good, again);
	ok(snapshot() == 0 && consistent(copy), "nor afterwards");
}

int main(void)
{
	private_table = malloc(sizeof(*private_table));
	published = malloc(sizeof(*published));
	copy = malloc(sizeof(*copy));
	if (!private_table || !published || !copy)
		return 99;
	test_kinds();
	test_set_and_clear();
	test_range();
	test_incomplete();
	test_publish();
	test_damage();
	test_hostile();
	test_concurrent();
	free(private_table);
	free(published);
	free(copy);
	return tap_done();
}
