/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* accept.c - is this CPR state ours? See accept.h. */
#include "accept.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "fault.h"
#include "vm.h"

static bool read_journal(const struct cprstate *state, struct journal *ret)
{
	return pread(state->shim[0].journal_fd, ret, sizeof(*ret), 0) == sizeof(*ret) && ret->magic == JOURNAL_MAGIC;
}

/* Has the guardian become this program? It has said so in the journal, which only who was given the state has. */
static bool is_guardian(const struct cprstate *state)
{
	struct journal j;

	return read_journal(state, &j) && j.guardian == getpid();
}

/* On the way back it is understood: that program's is the library that has written it. */
static bool fault_in_state(const struct cprstate *state)
{
	struct journal j;

	return !state->rehearsal_count && read_journal(state, &j) && !j.attempt && !j.guardian && fault_at("state");
}

/*
 * Another version of this library has written it, or it is damaged. The guardian is at hand; what went on would not know what
 * it has in its hands.
 */
static void end_if_state(int fd, const char *why)
{
	uint64_t magic;

	if (pread(fd, &magic, sizeof(magic), 0) != sizeof(magic) || magic != CPRSTATE_MAGIC)
		return;
	log_error("the CPR state on descriptor %d is not understood, and the new program ends: %s", fd, why);
	real(_exit)(1);
}

/* Not a copy of it, nor one of before the host was started. */
static bool is_original(const struct cprstate *state, const struct stat *st)
{
	char boot_id[64];

	vm_boot_id(boot_id, sizeof(boot_id));
	return state->origin_count && state->origin[0].inode == st->st_ino &&
	       !strcmp(state->origin[0].boot_id, boot_id);
}

/*
 * Another process waited for the guest: it has heard nobody but root and its own user (ctl/receive.c). The parcel is
 * theirs too. A process that this one's namespace does not know has no id there.
 */
static bool is_given(const struct cprstate *state)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return (state->transfer[0].how == CPR_TRANSFER_RECEIVED || state->transfer[0].how == CPR_TRANSFER_BACK) &&
	       state->parcel_count && !getsockopt(state->parcel[0].fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) &&
	       (!peer.uid || peer.uid == geteuid());
}

static bool is_ours(const struct cprstate *state)
{
	const struct cpr_vm *rec = &state->vm[0];

	if (state->rehearsal_count)
		return state->rehearsal[0].vm_pid == (uint64_t)getppid();
	if (state->transfer_count)
		return state->transfer[0].vm_pid == (uint64_t)getppid() || is_given(state);
	return (rec->pid == (uint64_t)getpid() && vm_start_time() && rec->start_time == vm_start_time()) ||
	       is_guardian(state);
}

static int map_state(struct cprstate *state, int fd, size_t size, const char **ret_why)
{
	void *map = real(mmap)(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);

	if (map == MAP_FAILED) {
		*ret_why = strerror(errno);
		return -errno;
	}
	return cprstate_decode(state, map, size, ret_why);
}

static bool is_sealed(int fd, struct stat *st)
{
	int seals = real(fcntl)(fd, F_GET_SEALS), wanted = F_SEAL_WRITE | F_SEAL_SHRINK;

	return seals >= 0 && (seals & wanted) == wanted && !fstat(fd, st) && st->st_size <= (off_t)CPRSTATE_MAX;
}

/* Where the next state's records go; touched beforehand. */
static struct cprstate *room;

/** accept_make_room() - have what accept_given() needs, before it counts how long that takes */
void accept_make_room(void)
{
	room = malloc(sizeof(*room));
	if (room)
		memset(room, 0, sizeof(*room));
}

static struct cprstate *take_room(void)
{
	struct cprstate *taken = room ? room : calloc(1, sizeof(*room));

	room = NULL;
	return taken;
}

/**
 * accept_given() - read a CPR state that the process beside this one has sent
 * @fd:	     descriptor of it
 * @ret_why: if it is none: why
 *
 * A state that is there, but not understood, ends the program.
 *
 * Return: the state, never freed, or NULL.
 */
struct cprstate *accept_given(int fd, const char **ret_why)
{
	struct cprstate *state = take_room();
	struct stat st;

	*ret_why = "it is not a sealed memfd";
	if (!state || !is_sealed(fd, &st)) {
		free(state);
		return NULL;
	}
	if (map_state(state, fd, (size_t)st.st_size, ret_why)) {
		end_if_state(fd, *ret_why);
		free(state);
		return NULL;
	}
	*ret_why = "its binaries are not in their order";
	if (state->binary[0].role != CPR_BINARY_OLD || state->binary[1].role != CPR_BINARY_NEW) {
		free(state);
		return NULL;
	}
	*ret_why = "it is a copy";
	if (!is_original(state, &st)) {
		free(state);
		return NULL;
	}
	return state;
}

/**
 * accept_state() - read the CPR state that this program was started with, if it is its own
 * @fd:	     descriptor of it, as the environment names it
 * @ret_why: if it is not: why
 *
 * Before main(). Otherwise as accept_given(); one that is another process's ends the program too.
 */
struct cprstate *accept_state(int fd, const char **ret_why)
{
	struct cprstate *state = accept_given(fd, ret_why);

	if (!state)
		return NULL;
	if (!is_ours(state)) {
		/* What would start here is the guest anew, on the images that another QEMU may have. */
		log_error(
			"the CPR state on descriptor %d is another process's, or its VM has ended: the new program ends",
			fd);
		real(_exit)(1);
	}
	if (fault_in_state(state))
		end_if_state(fd, FAULT_TEXT);
	return state;
}
