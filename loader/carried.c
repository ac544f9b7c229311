/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* carried.c - memory and descriptors that a successor gets by number; see carried.h. */
#include "carried.h"

#include <errno.h>
#include <stdlib.h>

#include "../shim/nbd.h"
#include "../shim/ram.h"
#include "../shim/session.h"
#include "../shim/slots.h"
#include "handover.h"
#include "ramblocks.h"
#include "vhosts.h"

/* Keeps a descriptor of ours until handover_release(); a negative one is an error, and stays one. */
static int keep(struct handover *h, int fd)
{
	if (fd >= 0 && h->parked_count == HANDOVER_PARKED) {
		slots_close(fd);
		return -E2BIG;
	}
	if (fd >= 0)
		h->parked[h->parked_count++] = fd;
	return fd;
}

/** carried_park() - a number of ours for what QEMU has as @fd, until handover_release(); or a negative errno */
int carried_park(struct handover *h, int fd)
{
	return keep(h, slots_park(fd));
}

static int ram_fd(struct handover *h, const struct ramblock *b)
{
	if (b->copied)
		return keep(h, ramblocks_copy(b));
	/* Memory of QEMU's own descriptor gets a number of ours; our memfds go as they are. */
	return slots_owns(b->fd) ? b->fd : carried_park(h, b->fd);
}

/** carried_put_ram() - write the RAM blocks. Return: 0 or a negative errno. */
int carried_put_ram(struct handover *h)
{
	for (size_t i = 0; i < h->block_count; i++) {
		const struct ramblock *b = &h->blocks[i];

		if (!b->name[0])
			continue;
		int fd = ram_fd(h, b);
		if (fd < 0)
			return fd;
		cprstate_put_ram(
			&h->w,
			&(struct cpr_ram){
				.name = b->name, .fd = fd, .offset = b->offset, .used = b->used, .max = b->max });
		if (ram_is_undiscarded(b->host))
			cprstate_put_undiscarded(&h->w, &(struct cpr_undiscarded){ .block = b->name });
	}
	return 0;
}

static void put_session(const struct freeze *f, struct cpr_fd *rec, const struct planned *p, struct session *s)
{
	const struct wire *pending = freeze_pending(f, p->it.fd);

	rec->protocol = SESSION_PLAIN;
	if (!p->frontends && session_copy(p->it.fd, s)) {
		rec->protocol = (uint32_t)s->protocol;
		rec->negotiated = s->negotiated;
		rec->oob = s->oob;
		if (s->protocol == SESSION_QMP || s->protocol == SESSION_HMP)
			rec->partial = (struct cpr_bytes){ (const uint8_t *)s->partial, (uint32_t)s->partial_len };
	}
	if (plan_has_packets(p)) {
		free(s->partial);
		s->partial = session_packet(p->it.fd, &s->partial_len);
		s->overflow |= s->partial_len && !s->partial;
		rec->partial = (struct cpr_bytes){ (const uint8_t *)s->partial, (uint32_t)s->partial_len };
	}
	if (pending && pending->len)
		rec->residue = (struct cpr_bytes){ (const uint8_t *)pending->data, (uint32_t)pending->len };
}

/* The name that a successor asks for it by. */
static const char *request_name(const struct inspected *it)
{
	return it->rec.detail_type == FDDETAIL_TEXT ? (const char *)it->rec.detail : "";
}

static int put_fd(struct handover *h, const struct freeze *f, const struct planned *p, int parent)
{
	const struct decoy *d = freeze_decoy(f, p->it.fd);
	struct session s = { .partial = NULL };
	struct cpr_fd rec = {
		.kind = (uint32_t)p->it.kind,
		.number = p->it.fd,
		.fd = d ? d->real : carried_park(h, p->it.fd),
		.parent = parent,
		.open_flags = p->it.rec.open_flags,
		.inherited = p->given || ((p->it.rec.flags & FDREC_INHERITED) != 0 && p->it.fd > STDERR_FILENO),
		.name = p->netdev ? p->netdev : request_name(&p->it),
	};

	if (rec.fd < 0)
		return rec.fd;
	if (p->it.rec.detail_type == FDDETAIL_ADDR)
		rec.addr = (struct cpr_bytes){ p->it.rec.detail, p->it.rec.detail_len };
	if (p->it.kind == FDKIND_CLIENT || p->it.kind == FDKIND_CONNECTION)
		put_session(f, &rec, p, &s);
	cprstate_put_fd(&h->w, &rec);
	free(s.partial);
	return s.overflow ? -EMSGSIZE : 0;
}

/** carried_is() - does this descriptor of QEMU's go to the successor by its number? */
bool carried_is(const struct planned *p, const struct plan *plan)
{
	if (p->action != PLAN_PRESERVE || p->it.kind == FDKIND_SHIM || p->it.kind == FDKIND_RAM || p->fdset || p->named)
		return false;
	/* Descriptors 0 to 2 stay where they are; a chardev on them gets decoys. */
	return p->it.kind != FDKIND_STDIO || (plan->stdio && p->it.fd <= STDOUT_FILENO);
}

static int by_age(const void *a, const void *b)
{
	const struct planned *const *x = a, *const *y = b;

	return ((*x)->it.rec.seq > (*y)->it.rec.seq) - ((*x)->it.rec.seq < (*y)->it.rec.seq);
}

/* In the order in which they were made, which is that of the new QEMU's requests: a tap's queues share a name. */
static const struct planned **oldest_first(const struct plan *plan)
{
	const struct planned **list = calloc(plan->count + 1, sizeof(struct planned *));

	for (size_t i = 0; list && i < plan->count; i++)
		list[i] = &plan->fds[i];
	if (list)
		qsort(list, plan->count, sizeof(struct planned *), by_age);
	return list;
}

static bool is_child(const struct planned *p)
{
	return p->it.kind == FDKIND_CLIENT || p->it.kind == FDKIND_SOCKETPAIR;
}

/**
 * carried_put_fds() - write the descriptors that are handed over
 * @h:	  the handover
 * @f:	  what was held of them, and by which decoys
 * @plan: the plan
 *
 * Return: 0 or a negative errno.
 */
int carried_put_fds(struct handover *h, const struct freeze *f, const struct plan *plan)
{
	const struct planned **list = oldest_first(plan);
	int *index = calloc(plan->count + 1, sizeof(*index)), n = 0, rc = list && index ? 0 : -ENOMEM;

	/* A client names its listener by its place among these, a TPM's data channel its control channel. */
	for (int children = 0; !rc && children < 2; children++)
		for (size_t i = 0; !rc && i < plan->count; i++) {
			const struct planned *p = list[i];

			if (is_child(p) != children || !carried_is(p, plan))
				continue;
			rc = put_fd(h, f, p, p->parent >= 0 ? index[p->parent] : -1);
			index[p - plan->fds] = n++;
		}
	free(index);
	free(list);
	return rc;
}

/**
 * carried_put_fdsets() - write the members of descriptor sets. Return: 0 or a negative errno.
 *
 * In the order that QEMU lists them: members of a set are looked at in the order in which they came.
 */
int carried_put_fdsets(struct handover *h, const struct plan *plan)
{
	const json_t *set, *member;
	size_t i, j;

	json_array_foreach(plan->fdsets, i, set)
		json_array_foreach(json_object_get(set, "fds"), j, member) {
			const char *opaque = json_string_value(json_object_get(member, "opaque"));
			struct cpr_fdset rec = {
				.set = (uint64_t)json_integer_value(json_object_get(set, "fdset-id")),
				.number = (int32_t)json_integer_value(json_object_get(member, "fd")),
				.opaque = opaque ? opaque : "",
			};

			rec.fd = carried_park(h, rec.number);
			if (rec.fd < 0)
				return rec.fd;
			cprstate_put_fdset(&h->w, &rec);
		}
	return 0;
}

/**
 * carried_put_nbd() - write the connections to NBD servers, for the way back
 * @h:	  the handover
 * @plan: the plan
 *
 * Return: 0 or a negative errno.
 */
int carried_put_nbd(struct handover *h, const struct plan *plan)
{
	const struct planned **list = oldest_first(plan);
	int rc = list ? 0 : -ENOMEM;

	for (size_t i = 0; !rc && i < plan->count; i++) {
		const struct inspected *it = &list[i]->it;

		if (it->kind != FDKIND_CONNECTION || it->rec.detail_type != FDDETAIL_ADDR || !nbd_is_one(it->fd))
			continue;
		struct nbd_words words = nbd_words(it->fd);
		struct cpr_nbd rec = { .addr = { it->rec.detail, it->rec.detail_len }, .fd = -1 };

		if (!words.lost) {
			rec.said = (struct cpr_bytes){ words.said, (uint32_t)words.said_len };
			rec.heard = (struct cpr_bytes){ words.heard, (uint32_t)words.heard_len };
		}
		if (nbd_is_spare(it->fd))
			rec.fd = rc = carried_park(h, it->fd);
		rc = rc < 0 ? rc : 0;
		cprstate_put_nbd(&h->w, &rec);
	}
	free(list);
	return rc;
}

/** carried_put_awaited() - write where devices' other halves listen, for the way back */
void carried_put_awaited(struct handover *h, const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];

		if (p->partner && p->action == PLAN_CLOSE && p->it.rec.detail_type == FDDETAIL_ADDR)
			cprstate_put_awaited(
				&h->w, &(struct cpr_awaited){ .addr = { p->it.rec.detail, p->it.rec.detail_len } });
	}
}

/** carried_keep() - keep the descriptors that a state names */
void carried_keep(struct execution *e, const struct cprstate *state)
{
	const struct cpr_shim *shim = &state->shim[0];
	const int ours[] = { shim->library_fd,	  shim->cwd_fd,	       shim->journal_fd,
			     shim->control_fd,	  shim->requester_fd,  shim->holder_fd,
			     state->stream[0].fd, state->binary[0].fd, state->binary[1].fd };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		execute_keep(e, ours[i]);
	for (uint32_t i = 0; i < state->ram_count; i++)
		execute_keep(e, state->ram[i].fd);
	for (uint32_t i = 0; i < state->fd_count; i++) {
		vhosts_keep(e, &state->fd[i]);
		if (state->fd[i].inherited)
			execute_occupy(e, state->fd[i].number);
	}
	for (uint32_t i = 0; i < state->fdset_count; i++) {
		execute_keep(e, state->fdset[i].fd);
		execute_occupy(e, state->fdset[i].number);
	}
	for (uint32_t i = 0; i < state->fdname_count; i++)
		execute_keep(e, state->fdname[i].fd);
	for (uint32_t i = 0; i < state->nbd_count; i++)
		execute_keep(e, state->nbd[i].fd);
	for (uint32_t i = 0; i < state->pin_count; i++)
		execute_keep(e, state->pin[i].fd);
}
