/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rings.c - descriptors that only a ring knows of; see rings.h. */
#include "rings.h"

#include <linux/io_uring.h>
#include <poll.h>
#include <stdio.h>

#include "../shim/real.h"

/* The kernel says nothing of a ring that is just being used: it does not wait for it. */
#define TRIES 200

/**
 * struct contents - what fdinfo tells of a ring (io_uring/fdinfo.c in Linux)
 * @told:    it does
 * @files:   room in its table of files
 * @takes:   a request in it waits for a connection, or for a message, which may bring descriptors
 */
struct contents {
	bool told;
	unsigned int files;
	bool takes;
};

static struct contents look(int fd)
{
	struct contents c = { .told = false };
	char path[64], line[512];
	int op;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *f = real(fopen64)(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		c.told |= sscanf(line, "UserFiles: %u", &c.files) == 1;
		if (sscanf(line, " op=%d,", &op) == 1)
			c.takes |= op == IORING_OP_ACCEPT || op == IORING_OP_RECVMSG;
	}
	if (f)
		real(fclose)(f);
	return c;
}

static void check_one(int fd, struct reasons *blockers)
{
	struct contents c = look(fd);

	for (int i = 1; i < TRIES && !c.told; i++) {
		poll(NULL, 0, 1);
		c = look(fd);
	}
	if (!c.told)
		reasons_add(blockers, BLOCKER_RING_DESCRIPTORS,
			    "descriptor %d is a ring of which the kernel tells nothing", fd);
	if (c.files)
		reasons_add(blockers, BLOCKER_RING_DESCRIPTORS,
			    "descriptor %d is a ring with a table of files of its own", fd);
	if (c.takes)
		reasons_add(blockers, BLOCKER_RING_DESCRIPTORS,
			    "descriptor %d is a ring that waits for a connection or a message", fd);
}

/**
 * rings_check() - may a ring have descriptors, or get them, that nobody sees?
 * @plan:     the plan
 * @blockers: which one
 */
void rings_check(const struct plan *plan, struct reasons *blockers)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->fds[i].it.kind == FDKIND_IO_URING)
			check_one(plan->fds[i].it.fd, blockers);
}
