/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guardian.h - what nothing inside the process can survive: the process itself is killed during an update, or the new
 * program ends before the shim's first instruction.
 *
 * The helper that keeps the old address space over the exec (execute.h) has every descriptor that the exec keeps, too.
 * Where the process dies before the commit, it starts the old binary in a process of its own (revive.h): the guest goes on
 * under that one's id. Once the guest has run the helper just ends. It costs nothing that is not there anyway, and nothing
 * during the blackout. A kill of the whole cgroup takes it along.
 */
#ifndef CPRSHIM_LOADER_GUARDIAN_H
#define CPRSHIM_LOADER_GUARDIAN_H

#include <stdbool.h>
#include <stdint.h>

#include "start.h"

struct execution;

/**
 * struct guardian - what the helper needs
 * @back:   the old binary; its fd is -1 where nothing is to be guarded
 * @leader: pidfd of the process that is to run the guest, or -1
 * @ending: tells of a signal that is to end the guardian, or -1
 * @requester: connection of who waits for the outcome, or -1
 * @limit:  nanoseconds that the new program has: to come to the shim's first code, and then to run the guest
 * @stat:   path of the process's stat (proc(5))
 */
struct guardian {
	struct program back;
	int leader;
	int ending;
	int requester;
	uint64_t limit;
	char stat[32];
};

#define GUARDIAN_NONE ((struct guardian){ .back = { .fd = -1 }, .leader = -1, .ending = -1, .requester = -1 })

void guardian_watch(struct execution *e);
bool guardian_lives(void);

#endif
