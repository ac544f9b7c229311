/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cprstate.h - what one program leaves for the next across an exec, in a sealed memfd.
 *
 * A header, then records of a type, a length and fields (docs/state-format.md). state/records.def names them once; from
 * it come the structs, the writers, the decoder and its limits. A decoded state points into the bytes it was decoded
 * from.
 */
#ifndef CPRSHIM_STATE_CPRSTATE_H
#define CPRSHIM_STATE_CPRSTATE_H

#include "codec.h"

#define CPRSTATE_MAGIC	 UINT64_C(0x0a45544154535043) /* "CPSTATE\n" in memory */
#define CPRSTATE_VERSION 1u
#define CPRSTATE_COMPAT	 1u /* the oldest version whose readers understand this one */
#define CPRSTATE_HEADER	 36u
#define CPRSTATE_MAX	 (64u << 20)

/* Flag of a record: a reader that does not know the type must refuse the state. */
#define CPRSTATE_REQUIRED 1u

/**
 * struct cprstate_versions - of a library: what it writes, and what it reads
 * @version: of the states that it writes; it reads those whose compat is no higher
 * @compat:  the oldest version whose readers understand what it writes, and the oldest that it reads
 */
struct cprstate_versions {
	uint32_t version;
	uint32_t compat;
};

#define CPR_BINARY_OLD 0u /* the way back */
#define CPR_BINARY_NEW 1u

#define CPR_THREAD_VCPU	    1u
#define CPR_THREAD_IOTHREAD 2u

#define CPR_PIN_LIBRARY	 1u
#define CPR_PIN_MODULE	 2u
#define CPR_PIN_FIRMWARE 3u
#define CPR_PIN_IMAGE	 4u

#define CPR_START_OLD	     0u /* the way back */
#define CPR_START_NEW	     2u /* what the new one is told besides */
#define CPR_START_CONFIGURED 1u /* what an update takes where nothing else is asked for */

#define CPR_START_ARG	  1u
#define CPR_START_PROGRAM 2u /* an argument that is QEMU's file */
#define CPR_START_ENV	  3u

#define CPR_TRANSFER_SPAWNED  0u /* to a child of the VM's process */
#define CPR_TRANSFER_RECEIVED 1u /* to a process that somebody else has started */
#define CPR_TRANSFER_STANDIN  2u /* to a child that gives the guest back */
#define CPR_TRANSFER_BACK     3u /* from that child to the process that it was in */

#define CPR_NOTE_WARNING UINT32_MAX /* closed_fd of a note that is a warning and names no descriptor */

#define RECORD(number, name, max) struct cpr_##name {
#define U32(field)		  uint32_t field;
#define I32(field)		  int32_t field;
#define U64(field)		  uint64_t field;
#define STR(field)		  const char *field;
#define BYTES(field)		  struct cpr_bytes field;
#define END(name) \
	}         \
	;
#include "records.def"
#undef RECORD
#undef U32
#undef I32
#undef U64
#undef STR
#undef BYTES
#undef END

#define U32(field)
#define I32(field)
#define U64(field)
#define STR(field)
#define BYTES(field)
#define END(name)

/* struct cprstate - all records, by type, in the order in which they stood: NAME[], NAME_count */
struct cprstate {
#define RECORD(number, name, max)    \
	struct cpr_##name name[max]; \
	uint32_t name##_count;
#include "records.def"
#undef RECORD
};

#define RECORD(number, name, max) void cprstate_put_##name(struct codec_writer *w, const struct cpr_##name *rec);
#include "records.def"
#undef RECORD

#undef U32
#undef I32
#undef U64
#undef STR
#undef BYTES
#undef END

void cprstate_begin(struct codec_writer *w, uint8_t *buf, size_t size);
int cprstate_end(struct codec_writer *w);
struct cprstate_versions cprstate_versions(void);
bool cprstate_understood(struct cprstate_versions reader, struct cprstate_versions writer);
int cprstate_decode(struct cprstate *ret, const uint8_t *buf, size_t len, const char **ret_why);

#endif
