/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * standing.c - what a guardian (loader/revive.h) has in its hands; see standing.h.
 *
 * Such a process is no VM and has no control socket; it holds the journal of the update.
 */
#include "standing.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "memfds.h"
#include "state/journal.h"

static bool read_journal(int fd, struct journal *ret)
{
	return pread(fd, ret, sizeof(*ret), 0) == sizeof(*ret) && ret->magic == JOURNAL_MAGIC;
}

/* The process that comes up, and one that is updated, hold it too. */
static bool is_guardians(int fd, const void *inner_pid)
{
	struct journal j;

	return read_journal(fd, &j) && j.guardian && !j.committed && j.holder[0] == *(const pid_t *)inner_pid;
}

static long seconds_since(uint64_t moment)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (long)(now.tv_sec - (time_t)(moment / 1000000000));
}

/**
 * standing_read() - does this process hold a guest that stands still?
 * @pid:      the process
 * @id:	      who it is
 * @ret_text: what there is to know of it, a sentence without its end; as its VMM wrote it
 * @size:     of @ret_text
 *
 * Return: 0, -ENOENT where it does not, or another negative errno.
 */
int standing_read(pid_t pid, const struct proc_id *id, char *ret_text, size_t size)
{
	struct journal j;
	int fd, err = memfds_open(pid, JOURNAL_MEMFD, is_guardians, &id->inner_pid, &fd);

	if (err)
		return err;
	bool there = read_journal(fd, &j);
	close(fd);
	if (!there)
		return -ENOENT;
	j.reason[sizeof(j.reason) - 1] = j.trouble[sizeof(j.trouble) - 1] = '\0';
	snprintf(
		ret_text, size,
		"its guest has stood still for %ld s after an update that failed; the old QEMU was started %u times, and is "
		"started again until it runs it: %s (kill %d gives the guest up)",
		seconds_since(j.moment[JOURNAL_STOPPING]), j.tries, j.trouble[0] ? j.trouble : j.reason, (int)pid);
	return 0;
}
