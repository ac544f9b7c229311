/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdtable.h - the descriptor table: what only the process itself can tell about its descriptors.
 *
 * The kernel knows which descriptors are open, QEMU knows which it needs. A record adds what neither can tell later:
 * which call made the descriptor, from what, and on whose behalf. The table is an array indexed by descriptor number in
 * memory that the caller gives.
 *
 * The same layout serves twice. The VMM keeps its table in private memory, which only the owning process writes; after
 * each change it copies the changed record into a second table in a shared memfd, the published copy. The copy has a
 * sequence number that is odd while a write is under way (a seqlock) and a checksum that is the exclusive or of every
 * record's hash, so that a change costs the same whatever the table's size. A reader takes a private copy with
 * fdtable_snapshot(), which checks all of it: the writer is a VMM, and a VMM may have been taken over by its guest.
 *
 * No function here makes a system call, allocates or locks. Writers serialise themselves.
 */
#ifndef CPRSHIM_STATE_FDTABLE_H
#define CPRSHIM_STATE_FDTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDTABLE_MAGIC	UINT64_C(0x454c424154525043) /* "CPRTABLE" in memory on a little-endian machine */
#define FDTABLE_VERSION 1u
#define FDTABLE_SLOTS	16384u /* descriptors with a higher number are not recorded: the table is then incomplete */
#define FDTABLE_DETAIL	112u   /* holds any struct sockaddr_un (110 bytes) */
#define FDTABLE_REASON	160u
/* Name of the memfd with the published copy, as it stands in /proc/PID/fd. */
#define FDTABLE_MEMFD_NAME "cprshim-table"

enum fdkind {
#define FDKIND(number, name, text) FDKIND_##name = (number),
#include "fdkind.def"
#undef FDKIND
	FDKIND_COUNT
};

/* What detail[] holds. */
enum fddetail {
	FDDETAIL_NONE,
	FDDETAIL_TEXT, /* printable text, '\0'-terminated, truncated where longer */
	FDDETAIL_ADDR, /* a struct sockaddr of detail_len bytes */
};

#define FDREC_CLOEXEC	(1u << 0) /* made with close-on-exec */
#define FDREC_INHERITED (1u << 1) /* was open when the program started */
#define FDREC_LISTENING (1u << 2) /* listen() succeeded */
#define FDREC_SCM	(1u << 3) /* came in through SCM_RIGHTS */

/**
 * struct fdrec - one record; all-zero means that the number is not in use
 * @kind:	enum fdkind
 * @flags:	FDREC_*
 * @origin:	enum hook_id of the call that made it (state/hooks.def), 0 where it was found in /proc/self/fd
 * @detail_type: enum fddetail
 * @detail_len:	bytes of @detail in use
 * @parent:	descriptor number it came from (an accepted client's listener, a duplicate's original, the
 *		connection that it was received by), or -1
 * @open_flags:	flags given to open(2), or a socket's domain << 16 | type
 * @seq:	position in the order of creation, from 1; unique in one table
 * @dev:	st_dev, as fstat(2) gave it
 * @ino:	st_ino; with @dev the kernel's identity of the object, 0 and 0 where not known
 * @detail:	path, address or name
 */
struct fdrec {
	uint16_t kind;
	uint16_t flags;
	uint16_t origin;
	uint8_t detail_type;
	uint8_t detail_len;
	int32_t parent;
	uint32_t open_flags;
	uint64_t seq;
	uint64_t dev;
	uint64_t ino;
	uint8_t detail[FDTABLE_DETAIL];
};
_Static_assert(sizeof(struct fdrec) == 152, "struct fdrec is part of the published format");

/**
 * struct fdtable - a table; the published copy has the same layout
 * @magic:	FDTABLE_MAGIC
 * @version:	FDTABLE_VERSION
 * @slots:	FDTABLE_SLOTS
 * @seqlock:	odd while a write is under way
 * @pid:	owning process, as it sees itself
 * @generation:	updates this VM has been through
 * @used:	records in use
 * @next_seq:	seq of the next record
 * @checksum:	exclusive or of fdrec_hash() over all records in use
 * @incomplete:	not 0: something could not be recorded, @reason says what
 * @rec:	by descriptor number
 */
struct fdtable {
	uint64_t magic;
	uint32_t version;
	uint32_t slots;
	uint64_t seqlock;
	int64_t pid;
	uint32_t generation;
	uint32_t used;
	uint64_t next_seq;
	uint64_t checksum;
	uint32_t incomplete;
	uint32_t pad;
	char reason[FDTABLE_REASON];
	struct fdrec rec[FDTABLE_SLOTS];
};

void fdtable_init(struct fdtable *t, int64_t pid, uint32_t generation);
bool fdtable_set(struct fdtable *t, int fd, const struct fdrec *rec);
bool fdtable_clear(struct fdtable *t, int fd);
const struct fdrec *fdtable_get(const struct fdtable *t, int fd);
void fdtable_mark_incomplete(struct fdtable *t, const char *reason);
void fdtable_publish(struct fdtable *copy, const struct fdtable *t, int fd);
int fdtable_snapshot(struct fdtable *ret, const void *from, size_t len);
uint64_t fdrec_hash(const struct fdrec *rec, int fd);
const char *fdkind_text(unsigned int kind);
const char *fdorigin_text(unsigned int origin);

#endif
