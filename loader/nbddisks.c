/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbddisks.c - disks on NBD servers; see nbddisks.h.
 *
 * A successor connects anew, so the server must let it in. Most let in two clients at once: then the connection there is
 * stays open beside the new one, for the way back (shim/nbd.h), and that it is so is tried out while the guest runs.
 * A qemu-nbd lets in one, where it is not told otherwise, and no other until that one is gone: it cannot be tried.
 */
#include "nbddisks.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "../shim/nbd.h"
#include "../shim/nbdprobe.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "address.h"
#include "nbdpeer.h"
#include "qmp.h"
#include "vm.h"

#define ANSWER_MS 3000

static bool is_one(const struct inspected *it)
{
	return it->kind == FDKIND_CONNECTION && it->rec.detail_type == FDDETAIL_ADDR && nbd_is_one(it->fd);
}

/* The server has no reason to say anything when nothing was asked of it. */
static bool has_ended(int fd)
{
	char byte;
	ssize_t n = real(recv)(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return !n || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void say_why(int rc, const char *where, struct reasons *reasons)
{
	switch (rc) {
	case -ETIMEDOUT:
		reasons_add(reasons, BLOCKER_NBD_SECOND, "the NBD server at %s does not answer a second client", where);
		break;
	case -ENXIO:
		reasons_add(reasons, BLOCKER_NBD_SECOND,
			    "the NBD server at %s does not serve the disk to a second client", where);
		break;
	case -ECONNRESET:
		reasons_add(reasons, BLOCKER_NBD_SECOND, "the NBD server at %s lets no second client in", where);
		break;
	default:
		reasons_add(reasons, BLOCKER_NBD_SECOND, "the NBD server at %s cannot be connected to again: %s", where,
			    strerror(-rc));
	}
}

/* Serves the server one more client? */
static bool try_out(const struct inspected *it, const char *where, struct reasons *reasons)
{
	const struct nbd_words words = nbd_words(it->fd);
	struct sockaddr_storage addr = { .ss_family = AF_UNSPEC };

	memcpy(&addr, it->rec.detail, it->rec.detail_len < sizeof(addr) ? it->rec.detail_len : sizeof(addr));
	int rc = nbdprobe_run((struct sockaddr *)&addr, it->rec.detail_len, words.said, words.lost ? 0 : words.said_len,
			      ANSWER_MS);
	if (rc)
		say_why(rc, where, reasons);
	return !rc && !words.lost;
}

static void check(const struct inspected *it, struct reasons *reasons)
{
	bool one_client = nbdpeer_serves_one(it->fd), spare = false;
	char where[256];

	address_text(it->fd, true, where, sizeof(where));
	if (has_ended(it->fd))
		reasons_add(reasons, BLOCKER_NBD_GONE, "the NBD server at %s has ended a disk's connection", where);
	else if (one_client && nbdpeer_is_stopped(it->fd))
		reasons_add(reasons, BLOCKER_NBD_GONE, "the NBD server at %s is stopped (SIGSTOP)", where);
	else if (!one_client)
		spare = try_out(it, where, reasons);
	nbd_set_spare(it->fd, spare);
	if (!spare && nbdpeer_ends(it->fd))
		reasons_add(reasons, BLOCKER_NBD_CLIENT,
			    "descriptor %d is a disk of a qemu-nbd that ends with its client", it->fd);
}

/* How many disks there are: also those whose connection has ended, or which QEMU was given by number. */
static size_t count_disks(uint64_t deadline)
{
	char error[QMP_ERROR_MAX];
	json_t *answer =
		qmp_command(&qmp_private, "query-named-block-nodes", json_pack("{s:b}", "flat", true), deadline, error);
	const json_t *node;
	size_t i, count = 0;

	json_array_foreach(answer, i, node) {
		const char *driver = json_string_value(json_object_get(node, "drv"));

		count += driver && !strcmp(driver, "nbd");
	}
	json_decref(answer);
	return count;
}

/**
 * nbddisks_check() - will the disks on NBD servers be there after an update, and after one that fails?
 * @plan:	 the plan
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 one sentence each
 */
void nbddisks_check(const struct plan *plan, uint64_t deadline_ns, struct reasons *reasons)
{
	size_t found = 0, disks = count_disks(deadline_ns);

	for (size_t i = 0; i < plan->count; i++) {
		if (!is_one(&plan->fds[i].it))
			continue;
		check(&plan->fds[i].it, reasons);
		found++;
	}
	if (found < disks)
		reasons_add(reasons, BLOCKER_NBD_GONE,
			    "%zu of %zu disks on NBD servers have lost their connection, or it was given by number",
			    disks - found, disks);
}

/**
 * nbddisks_adopt() - on the way back: have QEMU given the connections that there were
 * @state: the CPR state
 *
 * Return: 0 or a negative errno.
 */
int nbddisks_adopt(const struct cprstate *state)
{
	for (uint32_t i = 0; i < state->nbd_count; i++) {
		const struct cpr_nbd *rec = &state->nbd[i];
		const struct nbd_words words = {
			.said = rec->said.data,
			.said_len = rec->said.len,
			.heard = rec->heard.data,
			.heard_len = rec->heard.len,
		};
		/* One that died on its way back may have had a request under way there. */
		int fd = vm.journal->tries > 1 ? -1 : rec->fd;
		int rc = nbd_adopt((const struct sockaddr *)rec->addr.data, rec->addr.len, fd, &words);

		if (rc)
			return rc;
	}
	return 0;
}

/** nbddisks_release() - the update is over: the connections that there were are not needed any more */
void nbddisks_release(const struct cprstate *state)
{
	nbd_release();
	for (uint32_t i = 0; i < state->nbd_count; i++)
		slots_close(state->nbd[i].fd);
}
