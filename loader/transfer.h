/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * transfer.h - the method "transfer": the successor is brought up in a process of its own while the guest runs, and gets it.
 *
 * All that an exec pays for inside the blackout, a program's start above all, is over before the guest stops. Until the
 * commit the guest is this process's to go on with, whatever becomes of the other one; one compare-and-swap in the journal
 * decides between its commit and our giving it up. When the guest runs there, this process ends.
 */
#ifndef CPRSHIM_LOADER_TRANSFER_H
#define CPRSHIM_LOADER_TRANSFER_H

#include "handover.h"
#include "plan.h"
#include "reasons.h"

/**
 * struct transfer - a successor beside the VM
 * @first:   what it was brought up with
 * @channel: our end, or -1
 * @pid:     the process, for people; -1 where there is none
 * @pidfd:   it, or -1
 * @child:   it is ours to reap
 */
struct transfer {
	struct handover *first;
	int channel;
	pid_t pid;
	int pidfd;
	bool child;
};

bool transfer_possible(const struct plan *plan, const struct handover *h, char *ret_why, size_t size);
int transfer_begin(struct transfer *t, const struct handover *of, const struct freeze *f, const struct plan *plan,
		   struct reasons *reasons);
int transfer_check(const struct transfer *t, const struct freeze *f, const struct handover *of, const struct plan *plan,
		   const char **ret_why);
void transfer_foretell(const struct transfer *t);
void transfer_give(struct transfer *t, struct freeze *f, const struct plan *plan, struct handover *h,
		   uint64_t deadline_ns, struct reasons *reasons);
void transfer_again(struct transfer *t, struct handover *of);
void transfer_end(struct transfer *t);

#endif
