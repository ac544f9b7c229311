/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * journal.h - what happens during one update, in a shared memfd that both programs map.
 *
 * The CPR state is sealed before the exec; what comes after it is noted here, with plain stores, so that a signal
 * handler can do it too: how far the update is, when each phase ended, and the commit mark. Once the mark is set the
 * device state is never loaded again: old devices over newer RAM are accepted by QEMU without a word.
 */
#ifndef CPRSHIM_STATE_JOURNAL_H
#define CPRSHIM_STATE_JOURNAL_H

#include <stdint.h>

#define JOURNAL_MAGIC  UINT64_C(0x2e4c414e52554f4a) /* "JOURNAL." */
#define JOURNAL_REASON 2048
#define JOURNAL_MEMFD  "cprshim-journal"

/* Moments of an update; each phase runs from one to the next. */
enum journal_moment {
	JOURNAL_STOPPING, /* "stop" is sent: the guest may have run its last instruction */
	JOURNAL_STOPPED,
	JOURNAL_SAVED,
	JOURNAL_WRITTEN, /* the CPR state is complete */
	JOURNAL_EXEC,	 /* right before execveat() */
	JOURNAL_STARTED, /* the successor's entry, before main() */
	JOURNAL_UP,	 /* the successor's monitor has answered */
	JOURNAL_TAKEN,	 /* a successor beside the VM has the CPR state */
	JOURNAL_REMAPPED,
	JOURNAL_CONNECTED, /* every client has been accepted */
	JOURNAL_GIVEN,	   /* a successor beside the VM has the devices' state */
	JOURNAL_LOADED,
	JOURNAL_READY,	  /* it stands still as it should, threads and ring buffers are as they were */
	JOURNAL_IMAGES,	  /* the images are its own */
	JOURNAL_SWITCHED, /* so are the devices' descriptors */
	JOURNAL_RUNNING,  /* "cont" has been answered */
	JOURNAL_MOMENTS
};

/*
 * The commit mark. Where two processes stand side by side, either may set it, and the first one counts.
 */
enum journal_commit {
	JOURNAL_OPEN,
	JOURNAL_COMMITTED, /* the guest runs in the successor, or may */
	JOURNAL_GIVEN_UP,  /* the successor must not run it any more */
};

struct journal {
	uint64_t magic;
	uint32_t committed; /* enum journal_commit */
	uint32_t attempt;   /* execs so far: 1 is the successor, 2 the way back */
	/*
	 * Processes that hold the last programs' memory (loader/execute.h), by attempt: 0 before it, 1 on the way back.
	 */
	int32_t holder[2];
	int32_t guardian; /* process that was started in place of one that died (loader/revive.h), or 0 */
	int32_t back_pipe; /* descriptor besides those of the state, on the way back; its end lets the failed program go */
	uint64_t moment[JOURNAL_MOMENTS]; /* CLOCK_MONOTONIC, nanoseconds; of the way back once that has begun */
	char reason[JOURNAL_REASON];	  /* why it went back */
	char trouble[JOURNAL_REASON];	  /* why the last way back ended before it ran the guest, or "" */
	uint32_t tries;			  /* ways back begun so far */
	int32_t names[2]; /* processes whose number socket and links have borne since, the last one second; or 0 */
};

#endif
