/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * probes.h - static probes (USDT) at each stage of an update, for bpftrace, perf and gdb; cprshim(7) lists them.
 *
 * Each is one nop, and a note in the file that says where it is and where its arguments are (SystemTap's <sys/sdt.h>). Without
 * that header they are nothing.
 */
#ifndef CPRSHIM_LOADER_PROBES_H
#define CPRSHIM_LOADER_PROBES_H

#ifdef ENABLE_USDT
#include <sys/sdt.h>
#define PROBE(name)	      STAP_PROBE(cprshim, name)
#define PROBE1(name, a)	      STAP_PROBE1(cprshim, name, a)
#define PROBE3(name, a, b, c) STAP_PROBE3(cprshim, name, a, b, c)
#else
#define PROBE(name)	      ((void)0)
#define PROBE1(name, a)	      ((void)(a))
#define PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#include "../state/journal.h"

/** probes_moment() - the probe of a moment; it is called like that. Async-signal-safe. */
static inline void probes_moment(enum journal_moment moment)
{
	switch (moment) {
	case JOURNAL_STOPPING:
		PROBE(stopping);
		break;
	case JOURNAL_STOPPED:
		PROBE(stopped);
		break;
	case JOURNAL_SAVED:
		PROBE(saved);
		break;
	case JOURNAL_WRITTEN:
		PROBE(written);
		break;
	case JOURNAL_EXEC:
		PROBE(exec);
		break;
	case JOURNAL_STARTED:
		PROBE(started);
		break;
	case JOURNAL_UP:
		PROBE(up);
		break;
	case JOURNAL_TAKEN:
		PROBE(taken);
		break;
	case JOURNAL_REMAPPED:
		PROBE(remapped);
		break;
	case JOURNAL_CONNECTED:
		PROBE(connected);
		break;
	case JOURNAL_GIVEN:
		PROBE(given);
		break;
	case JOURNAL_LOADED:
		PROBE(loaded);
		break;
	case JOURNAL_READY:
		PROBE(ready);
		break;
	case JOURNAL_IMAGES:
		PROBE(images);
		break;
	case JOURNAL_SWITCHED:
		PROBE(switched);
		break;
	case JOURNAL_RUNNING:
		PROBE(running);
		break;
	case JOURNAL_MOMENTS:
		break;
	}
}

#endif
