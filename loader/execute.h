/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * execute.h - replace this program by another, with some descriptors kept.
 *
 * The exec is done by the thread-group leader, from a signal handler: the exec'ing thread's affinity, priority,
 * scheduling policy and parent-death signal become the process's, and those are the leader's to give. All signals are
 * blocked across it, and SIGUSR2 is ignored, since its default action kills.
 *
 * exec tears the old address space down, which costs 60 ms for each GiB of touched memory in 4 KiB pages, inside the
 * blackout. So a helper that shares the address space (CLONE_VM) is left behind to hold it until the guest runs again;
 * it has closed every descriptor that it does not need, and ends when the other end of a pipe is closed. It is the guardian,
 * too (guardian.h). The exec waits until it has closed them: a vhost-vsock device's context ID, for one, is free for the
 * successor when the device's last descriptor is closed.
 */
#ifndef CPRSHIM_LOADER_EXECUTE_H
#define CPRSHIM_LOADER_EXECUTE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "../shim/vhost.h"
#include "guardian.h"

#define EXECUTE_KEEP  2048
#define EXECUTE_VHOST 256
#define EXECUTE_PLACE 4

/* Descriptors, in ascending order. */
struct fdlist {
	int fd[EXECUTE_KEEP];
	size_t count;
};

/**
 * struct execution - what is to be exec'd
 * @place: descriptors that go under numbers first, whatever else is there
 * @place_count: how many
 * @program: path or descriptor, arguments, environment
 * @carry: where it is not empty, those of @keep that go through the exec by themselves
 * @occupy: numbers that the next program will give to what it keeps: they stay in use until then, so that no library's
 *	   constructor gets one; not by way of a command, whose own they would be
 * @keep:  descriptors that stay open; all others but stdin, stdout and stderr are closed
 * @vhost: those of @keep that are vhost devices, which the exec takes from their owner
 * @vhost_count: how many
 * @holder_pipe: the end of the holder's pipe that goes with the exec; in @keep too
 * @holder_wait: the end that the holder reads; closed by the exec
 * @guardian: how the holder brings the guest back
 */
struct execution {
	struct placed {
		int fd;
		int number;
	} place[EXECUTE_PLACE];
	size_t place_count;
	struct program program;
	struct fdlist keep;
	struct fdlist carry;
	struct fdlist occupy;
	struct vhost_handed vhost[EXECUTE_VHOST];
	size_t vhost_count;
	int holder_pipe;
	int holder_wait;
	struct guardian guardian;
};

int execute_pipe(struct execution *e);
void execute_keep(struct execution *e, int fd);
void execute_occupy(struct execution *e, int fd);
void execute_carry(struct execution *e, int fd);
const struct fdlist *execute_through(const struct execution *e);
int execute(struct execution *e);
void execute_here(struct execution *e);
bool execute_on_signal(void);

#endif
