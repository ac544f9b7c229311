/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* strays.c - what is open in a successor besides what was handed over; see strays.h. */
#include "strays.h"

#include <sys/stat.h>

#include "../shim/inspect.h"
#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "../shim/table.h"

static bool is_occupied(const struct cprstate *state, int fd)
{
	for (uint32_t i = 0; i < state->fd_count; i++)
		if (state->fd[i].inherited && state->fd[i].number == fd)
			return true;
	for (uint32_t i = 0; i < state->fdset_count; i++)
		if (state->fdset[i].number == fd)
			return true;
	return false;
}

/*
 * Made since the exec, by a library's constructor, which goes on using it? What closes on exec did not come through one,
 * and where no command was in between nothing did that we do not know of.
 */
static bool is_constructors(const struct cprstate *state, int fd)
{
	int flags = real(fcntl)(fd, F_GETFD);

	return flags >= 0 && (flags & FD_CLOEXEC || (!state->parcel_count && !is_occupied(state, fd)));
}

/* Whatever else is open (a command's, or what has kept a number in use) is nobody's. */
static void sort_stray(int fd, void *opaque)
{
	const struct cprstate *state = opaque;

	if (fd <= STDERR_FILENO || slots_owns(fd) || fd == log_descriptor())
		return;
	if (is_constructors(state, fd))
		table_note_before(fd);
	else
		real(close)(fd);
}

/**
 * strays_sort() - keep and record what is a library's, close what is nobody's
 * @state: what was handed over, none of which has its number yet
 *
 * Return: 0 or a negative errno.
 */
int strays_sort(struct cprstate *state)
{
	return inspect_each(sort_stray, state);
}

/**
 * strays_made_again() - has a constructor opened this file again?
 * @rec: a descriptor that was handed over
 *
 * The old program could not tell one that its own constructor had left open from one that it inherited.
 */
bool strays_made_again(const struct cpr_fd *rec)
{
	struct stat st;
	struct fdrec made;

	/* Of what is left, taps for example, two may share one inode and be different things. */
	if (!rec->inherited || (rec->kind != FDKIND_FILE && rec->kind != FDKIND_CHARDEV) || fstat(rec->fd, &st))
		return false;
	for (int fd = STDERR_FILENO + 1; fd < (int)FDTABLE_SLOTS; fd++)
		if (table_lookup(fd, &made) && made.dev == st.st_dev && made.ino == st.st_ino)
			return true;
	return false;
}
