/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fdtable.c - the descriptor table; what it is for stands in fdtable.h. */
#include "fdtable.h"

#include <errno.h>
#include <string.h>

/* A copy is taken again this often before the writer is taken for dead or hostile. */
#define SNAPSHOT_TRIES 1000

/**
 * fdkind_text() - name of a kind, for people and for JSON
 * @kind: enum fdkind, or any number from a table that is not trusted
 *
 * Return: a constant string, "unknown" where the number stands for nothing.
 */
const char *fdkind_text(unsigned int kind)
{
	switch (kind) {
#define FDKIND(number, name, text) \
	case (number):             \
		return (text);
#include "fdkind.def"
#undef FDKIND
	default:
		return "unknown";
	}
}

/**
 * fdorigin_text() - name of the call that made a descriptor
 * @origin: a record's, which is not trusted
 *
 * Return: a constant string, "-" where no call of libc's did.
 */
const char *fdorigin_text(unsigned int origin)
{
	switch (origin) {
#define HOOK(number, symbol) \
	case (number):       \
		return #symbol;
#include "hooks.def"
#undef HOOK
	default:
		return "-";
	}
}

/**
 * fdrec_hash() - FNV-1a over a record and the number it stands under
 * @rec: the record
 * @fd:	 its descriptor number
 *
 * Return: the hash. It finds accidents, not forgery.
 */
uint64_t fdrec_hash(const struct fdrec *rec, int fd)
{
	const uint8_t *bytes = (const uint8_t *)rec;
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint32_t)fd;

	for (size_t i = 0; i < sizeof(*rec); i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/**
 * fdtable_init() - make an empty table
 * @t:		zeroed memory for it
 * @pid:	owning process
 * @generation:	updates the VM has been through
 */
void fdtable_init(struct fdtable *t, int64_t pid, uint32_t generation)
{
	t->magic = FDTABLE_MAGIC;
	t->version = FDTABLE_VERSION;
	t->slots = FDTABLE_SLOTS;
	t->pid = pid;
	t->generation = generation;
	t->next_seq = 1;
}

/**
 * fdtable_get() - look a descriptor up
 * @t:	the table
 * @fd:	any number
 *
 * Return: its record, valid until the next change, or NULL.
 */
const struct fdrec *fdtable_get(const struct fdtable *t, int fd)
{
	if (fd < 0 || (uint32_t)fd >= FDTABLE_SLOTS || t->rec[fd].kind == FDKIND_NONE)
		return NULL;
	return &t->rec[fd];
}

/**
 * fdtable_clear() - remove a record
 * @t:	the table
 * @fd:	any number
 *
 * Return: true if there was one.
 */
bool fdtable_clear(struct fdtable *t, int fd)
{
	const struct fdrec *old = fdtable_get(t, fd);

	if (!old)
		return false;
	t->checksum ^= fdrec_hash(old, fd);
	memset(&t->rec[fd], 0, sizeof(t->rec[fd]));
	t->used--;
	return true;
}

/**
 * fdtable_set() - put a record under a number, instead of what stood there
 * @t:	 the table
 * @fd:	 descriptor number
 * @rec: the record; its seq is replaced by the next one where it is 0
 *
 * Return: false if the number is out of range; the table is then marked incomplete.
 */
bool fdtable_set(struct fdtable *t, int fd, const struct fdrec *rec)
{
	if (fd < 0 || (uint32_t)fd >= FDTABLE_SLOTS || rec->kind == FDKIND_NONE) {
		fdtable_mark_incomplete(t, "a descriptor number is too high for the table");
		return false;
	}
	const struct fdrec *old = fdtable_get(t, fd);
	if (old) {
		t->checksum ^= fdrec_hash(old, fd);
		t->used--;
	}
	/* Not cleared in between: hooks look at the kind without a lock. */
	t->rec[fd] = *rec;
	if (!t->rec[fd].seq)
		t->rec[fd].seq = t->next_seq++;
	t->checksum ^= fdrec_hash(&t->rec[fd], fd);
	t->used++;
	return true;
}

/**
 * fdtable_mark_incomplete() - note that something could not be recorded
 * @t:	    the table
 * @reason: why; the first reason stays
 */
void fdtable_mark_incomplete(struct fdtable *t, const char *reason)
{
	if (t->incomplete)
		return;
	t->incomplete = 1;
	strncpy(t->reason, reason, sizeof(t->reason) - 1);
}

/**
 * fdtable_publish() - bring one record and the header of the published copy up to date
 * @copy: the published copy
 * @t:	  the private table
 * @fd:	  number of the changed record, or -1 for the header alone
 *
 * Only one thread of the owning process may publish at a time.
 */
void fdtable_publish(struct fdtable *copy, const struct fdtable *t, int fd)
{
	uint64_t seq = copy->seqlock | 1;

	__atomic_store_n(&copy->seqlock, seq, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	copy->magic = t->magic;
	copy->version = t->version;
	copy->slots = t->slots;
	copy->pid = t->pid;
	copy->generation = t->generation;
	copy->used = t->used;
	copy->next_seq = t->next_seq;
	copy->checksum = t->checksum;
	copy->incomplete = t->incomplete;
	memcpy(copy->reason, t->reason, sizeof(copy->reason));
	if (fd >= 0 && (uint32_t)fd < FDTABLE_SLOTS)
		copy->rec[fd] = t->rec[fd];
	__atomic_store_n(&copy->seqlock, seq + 1, __ATOMIC_RELEASE);
}

static int snapshot_check(const struct fdtable *t)
{
	uint64_t checksum = 0;
	uint32_t used = 0;

	if (t->magic != FDTABLE_MAGIC || t->slots != FDTABLE_SLOTS)
		return -EBADMSG;
	if (t->version != FDTABLE_VERSION)
		return -EPROTONOSUPPORT;
	if (t->reason[sizeof(t->reason) - 1])
		return -EBADMSG;
	for (uint32_t fd = 0; fd < FDTABLE_SLOTS; fd++) {
		const struct fdrec *rec = &t->rec[fd];

		if (rec->kind == FDKIND_NONE)
			continue;
		if (rec->detail_len > FDTABLE_DETAIL || rec->detail_type > FDDETAIL_ADDR)
			return -EBADMSG;
		checksum ^= fdrec_hash(rec, (int)fd);
		used++;
	}
	if (checksum != t->checksum || used != t->used)
		return -EBADMSG;
	return 0;
}

/**
 * fdtable_snapshot() - take a consistent, checked copy of a published table
 * @ret:  where the copy goes; undefined on failure
 * @from: the published copy, mapped
 * @len:  bytes mapped there
 *
 * The copy is taken while the VMM goes on writing; it is checked only once it is private. Text in it may still hold any
 * byte: whoever prints it escapes it.
 *
 * Return: 0, -EBADMSG where it is no valid table, -EPROTONOSUPPORT for another version, -EAGAIN where no quiet moment
 * was found.
 */
int fdtable_snapshot(struct fdtable *ret, const void *from, size_t len)
{
	const struct fdtable *t = from;

	if (len < sizeof(*t))
		return -EBADMSG;
	for (int i = 0; i < SNAPSHOT_TRIES; i++) {
		uint64_t before = __atomic_load_n(&t->seqlock, __ATOMIC_ACQUIRE);

		if (before & 1)
			continue;
		memcpy(ret, t, sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (__atomic_load_n(&t->seqlock, __ATOMIC_RELAXED) == before)
			return snapshot_check(ret);
	}
	return -EAGAIN;
}
