/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan.c - what becomes of each descriptor; see plan.h. */
#include "plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../shim/decoy.h"
#include "../shim/real.h"
#include "../shim/session.h"
#include "../shim/table.h"
#include "address.h"
#include "argv.h"
#include "changes.h"
#include "chardevs.h"
#include "namedfds.h"
#include "optvalue.h"
#include "rings.h"
#include "telnets.h"
#include "version.h"
#include "vhosts.h"
#include "vm.h"
#include "vsocks.h"

static const char *const action_names[] = { "close", "reopen", "preserve", "block" };

/**
 * plan_text() - what a descriptor is, for whoever reads a result
 * @p:	  the descriptor
 * @ret:  the text
 * @size: its size
 */
void plan_text(const struct planned *p, char *ret, size_t size)
{
	bool client = p->it.kind == FDKIND_CLIENT;
	char text[256] = "";

	if (client || p->it.kind == FDKIND_CONNECTION)
		address_text(p->it.fd, !client, text, sizeof(text));
	if (*text)
		snprintf(ret, size, "%s %s", client ? "client of" : "connection to", text);
	else
		snprintf(ret, size, "%s", p->it.link);
}

static bool writes_from_start(const struct fdrec *rec)
{
	return (rec->open_flags & O_ACCMODE) != O_RDONLY && (rec->open_flags & O_CREAT) &&
	       (rec->open_flags & (O_TRUNC | O_APPEND));
}

/* A regular file that a character device reads: reading it anew would give the guest the same bytes again. */
static bool is_chardev_input(const struct inspected *it)
{
	char value[FDTABLE_DETAIL];

	for (size_t n = 0; it->rec.detail_type == FDDETAIL_TEXT && argv_value(vm.argv, "chardev", n); n++)
		if (optvalue_get(argv_value(vm.argv, "chardev", n), "input-path", value, sizeof(value)) &&
		    !strcmp(value, (const char *)it->rec.detail))
			return true;
	return false;
}

static enum plan_action plan_file(struct planned *p)
{
	const struct inspected *it = &p->it;
	bool reads = (it->rec.open_flags & O_ACCMODE) == O_RDONLY;

	p->chardev = it->recorded && reads && is_chardev_input(it);
	return p->chardev || (it->recorded && writes_from_start(&it->rec)) ? PLAN_PRESERVE : PLAN_REOPEN;
}

/* One that QEMU opened by its path: its other end would see the end of the file, and what is in it would be lost. */
static enum plan_action plan_pipe(struct planned *p)
{
	if (!p->it.recorded || p->it.rec.detail_type != FDDETAIL_TEXT)
		return PLAN_CLOSE;
	p->chardev = (p->it.rec.open_flags & O_ACCMODE) != O_WRONLY;
	return PLAN_PRESERVE;
}

static enum plan_action plan_listener(struct planned *p, const json_t *chardevs)
{
	char text[256];

	address_text(p->it.fd, false, text, sizeof(text));
	p->chardev = *text && chardevs_named(chardevs, text, true);
	return PLAN_PRESERVE;
}

/*
 * The successor listens where the command line says, and where character devices were added since
 * (loader/hotplug.h); nothing would ask for any other.
 */
static void check_listeners(const struct plan *plan, struct reasons *blockers)
{
	char text[256];

	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];

		if (p->it.kind != FDKIND_LISTENER || p->action != PLAN_PRESERVE || p->chardev || p->named ||
		    !p->it.recorded || !vm.started_seq || p->it.rec.seq < vm.started_seq)
			continue;
		address_text(p->it.fd, false, text, sizeof(text));
		reasons_add(blockers, BLOCKER_LISTENER_LATE, "descriptor %d listens at %s since after the start",
			    p->it.fd, *text ? text : p->it.link);
	}
}

static enum plan_action plan_connection(struct planned *p, const json_t *chardevs)
{
	/* Nothing else of QEMU's connects one (chardev/char-udp.c): its networks send to addresses. */
	if (decoy_is_datagram(decoy_real(p->it.fd))) {
		p->chardev = chardevs_is(chardevs, "udp");
		return p->chardev ? PLAN_PRESERVE : PLAN_CLOSE;
	}
	p->chardev = chardevs_connected(p->it.fd, chardevs) != NULL;
	return p->chardev ? PLAN_PRESERVE : PLAN_CLOSE;
}

/* A port that the user network forwards (hostfwd=udp:...): the new QEMU binds it again. Its guests' come later. */
static bool is_forwarded_port(const struct inspected *it)
{
	return it->recorded && it->rec.detail_type == FDDETAIL_ADDR && it->rec.seq < vm.started_seq &&
	       decoy_is_datagram(decoy_real(it->fd));
}

static enum plan_action plan_one(struct planned *p, const json_t *chardevs, struct reasons *blockers)
{
	const struct inspected *it = &p->it;

	if (p->fdset)
		return PLAN_PRESERVE;
	if (p->from_fdset)
		return PLAN_REOPEN;
	if (it->rec.flags & FDREC_SCM)
		return namedfds_plan(p, blockers);
	if (p->netdev)
		return PLAN_PRESERVE;
	if (it->kind == FDKIND_VHOST)
		return vhosts_plan(it, it->rec.flags & FDREC_INHERITED, blockers);
	if (it->rec.flags & FDREC_INHERITED && it->fd > STDERR_FILENO) {
		p->chardev = it->kind == FDKIND_LISTENER || it->kind == FDKIND_CONNECTION;
		return PLAN_PRESERVE;
	}
	switch (it->kind) {
	case FDKIND_SHIM:
	case FDKIND_RAM:
	case FDKIND_STDIO:
	case FDKIND_TAP:
	case FDKIND_PTY_MASTER:
		return PLAN_PRESERVE;
	case FDKIND_LISTENER:
		return plan_listener(p, chardevs);
	case FDKIND_CONNECTION:
		return plan_connection(p, chardevs);
	case FDKIND_FILE:
		return plan_file(p);
	case FDKIND_PIPE:
		return plan_pipe(p);
	case FDKIND_VFIO:
		reasons_add(blockers, BLOCKER_VFIO, "descriptor %d (%s) is a VFIO device", it->fd, it->link);
		return PLAN_BLOCK;
	case FDKIND_SOCKET:
		return is_forwarded_port(it) ? PLAN_PRESERVE : PLAN_CLOSE;
	case FDKIND_CLIENT: /* decided with its listener */
	case FDKIND_SOCKETPAIR:
		return PLAN_CLOSE;
	default:
		return PLAN_REOPEN;
	}
}

/*
 * Members of descriptor sets (-add-fd, add-fd) are handed over as such, and what QEMU opened through one of them
 * (/dev/fdset/N) is a duplicate that the successor makes again: the same open file, and no path of its own.
 */
static void mark_fdsets(struct planned *fds, size_t count, const json_t *fdsets)
{
	const json_t *set, *member;
	size_t i, j;

	json_array_foreach(fdsets, i, set)
		json_array_foreach(json_object_get(set, "fds"), j, member) {
			json_int_t number = json_integer_value(json_object_get(member, "fd"));
			const struct planned *found = NULL;

			for (size_t k = 0; k < count; k++)
				if (fds[k].it.fd == number)
					found = &fds[k];
			for (size_t k = 0; found && k < count; k++)
				if (fds[k].it.fd == number)
					fds[k].fdset = true;
				else if (fds[k].it.rec.detail_type == FDDETAIL_NONE &&
					 fds[k].it.rec.ino == found->it.rec.ino &&
					 fds[k].it.rec.dev == found->it.rec.dev && fds[k].it.recorded)
					fds[k].from_fdset = true;
		}
}

static void check_fdsets(const json_t *fdsets, struct reasons *blockers)
{
	const json_t *set;
	size_t i;

	json_array_foreach(fdsets, i, set)
		if (!json_array_size(json_object_get(set, "fds")))
			reasons_add(blockers, BLOCKER_FDSET_EMPTY,
				    "descriptor set %" JSON_INTEGER_FORMAT " is in use, but has no member any more",
				    json_integer_value(json_object_get(set, "fdset-id")));
}

static void mark_netdevs(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct planned *p = &plan->fds[i];
		const struct netdev *netdev = NULL;

		if (p->it.kind == FDKIND_CONNECTION || p->it.kind == FDKIND_CLIENT || p->it.kind == FDKIND_SOCKET)
			netdev = netdevs_of_socket(&plan->netdevs, &p->it);
		p->netdev = netdev ? netdev->name : NULL;
	}
}

/** plan_has_packets() - is this a network back end's socket on which each packet follows its length? */
bool plan_has_packets(const struct planned *p)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return p->netdev && !getsockopt(decoy_real(p->it.fd), SOL_SOCKET, SO_TYPE, &type, &len) && type == SOCK_STREAM;
}

/*
 * Since 10.2 QEMU polls by io_uring what it does not poll by GLib, and wakes up for a new file under a number only where
 * the old one becomes readable: which a packets' stream must not, with nothing there to read.
 */
static void check_streams(const struct plan *plan, const char *version, struct reasons *reasons)
{
	for (size_t i = 0; i < plan->count; i++)
		for (size_t n = 0; plan->fds[i].netdev && n < plan->netdevs.count; n++) {
			const struct netdev *netdev = &plan->netdevs.list[n];

			if (!strcmp(netdev->name, plan->fds[i].netdev) && strcmp(netdev->type, "stream") != 0 &&
			    plan->fds[i].it.kind != FDKIND_SOCKET)
				reasons_add(reasons, BLOCKER_NETWORK_SESSION,
					    "network back end %s: QEMU %s would not notice its connection",
					    netdev->name, version);
		}
}

/*
 * Before 8.2 QEMU does not tell the states of several user networks apart (net/slirp.c:net_slirp_init): it loads all that
 * it saved into one, and takes none but the first from a QEMU that does.
 */
static void check_user_networks(const struct plan *plan, const char *version, struct reasons *reasons)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->netdevs.count; i++)
		count += !strcmp(plan->netdevs.list[i].type, "user");
	if (count > 1)
		reasons_add(reasons, BLOCKER_NETWORK_USERS, "QEMU %s mixes up the states of more than one user network",
			    version);
}

/**
 * plan_check_version() - can this version of QEMU have what is planned?
 * @plan:    the plan
 * @version: such as "7.2.22", or "" where it is not known
 * @reasons: why not
 */
void plan_check_version(const struct plan *plan, const char *version, struct reasons *reasons)
{
	int number = version_number(version);

	if (number && number < 802)
		check_user_networks(plan, version, reasons);
	if (number >= 1002)
		check_streams(plan, version, reasons);
}

/* A socket that the plan closes, and that may be the one that a network back end has. */
static bool is_unclaimed(const struct planned *p)
{
	return p->action == PLAN_CLOSE &&
	       (p->it.kind == FDKIND_CONNECTION || p->it.kind == FDKIND_CLIENT || p->it.kind == FDKIND_SOCKET);
}

static void check_netdev(const struct plan *plan, const struct netdev *netdev, struct reasons *blockers)
{
	bool found = false, unclaimed = false;

	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];

		unclaimed |= is_unclaimed(p);
		if (!p->netdev || strcmp(p->netdev, netdev->name) != 0)
			continue;
		found = true;
		if (plan_has_packets(p) && session_is_broken(p->it.fd))
			reasons_add(blockers, BLOCKER_NETWORK_SESSION,
				    "network back end %s: what came over its connection is not known", netdev->name);
	}
	if (!found && unclaimed)
		reasons_add(blockers, BLOCKER_NETWORK_SESSION, "network back end %s (%s): its socket is not known",
			    netdev->name, netdev->info);
}

/* QEMU may name a peer that is gone; where no socket is left over, none is lost. */
static void check_netdevs(const struct plan *plan, struct reasons *blockers)
{
	for (size_t i = 0; i < plan->netdevs.count; i++)
		if (netdevs_has_socket(&plan->netdevs.list[i]))
			check_netdev(plan, &plan->netdevs.list[i], blockers);
}

static int find_listener(const struct plan *plan, const struct planned *client)
{
	for (size_t i = 0; i < plan->count; i++)
		if (plan->fds[i].it.fd == client->it.rec.parent && plan->fds[i].it.kind == FDKIND_LISTENER)
			return (int)i;
	return -1;
}

static void plan_clients(struct plan *plan, const json_t *chardevs)
{
	char text[256];

	for (size_t i = 0; i < plan->count; i++) {
		struct planned *p = &plan->fds[i];

		if (p->it.kind != FDKIND_CLIENT)
			continue;
		address_text(p->it.fd, false, text, sizeof(text));
		p->parent = find_listener(plan, p);
		if (p->parent < 0 || p->netdev)
			continue;
		/*
		 * A listener on any address has another name than its clients; one that is connected is named by its
		 * client.
		 */
		if (plan->fds[p->parent].chardev || (*text && chardevs_named(chardevs, text, true)) ||
		    (chardevs_is_abstract(p->it.fd) && chardevs_named(chardevs, "unix:", true))) {
			p->chardev = plan->fds[p->parent].chardev = true;
			p->action = PLAN_PRESERVE;
		}
	}
}

static void plan_muxes(struct plan *plan, const json_t *chardevs)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct planned *p = &plan->fds[i];
		const json_t *dev = p->action == PLAN_PRESERVE ? chardevs_of(&p->it, chardevs) : NULL;
		const char *label = json_string_value(json_object_get(dev, "label"));

		p->frontends = label ? argv_frontends(vm.argv, label) : 0;
	}
}

/* Every connected character device must have its descriptor: a missing one would be a lost connection. */
static void check_endpoints(const struct plan *plan, const json_t *chardevs, struct reasons *blockers)
{
	size_t connected = 0, found = 0, i;
	const json_t *dev;

	json_array_foreach(chardevs, i, dev) {
		const char *name = json_string_value(json_object_get(dev, "filename"));
		const char *label = json_string_value(json_object_get(dev, "label"));

		if (!name || !label || !strcmp(label, "cprshim"))
			continue;
		if (!strncmp(name, "unix:", 5) || !strncmp(name, "tcp:", 4) || !strncmp(name, "telnet:", 7) ||
		    !strcmp(name, "udp"))
			connected++;
		if (!strncmp(name, "websocket:", 10))
			reasons_add(blockers, BLOCKER_CHARDEV_SESSION,
				    "character device %s (%s) has a session that cannot be handed over", label, name);
		if (!strcmp(label, "gdb") && (!strncmp(name, "unix:", 5) || !strncmp(name, "tcp:", 4)))
			reasons_add(blockers, BLOCKER_DEBUGGER, "a debugger is connected to the gdbstub");
	}
	for (i = 0; i < plan->count; i++)
		found += plan->fds[i].chardev &&
			 (plan->fds[i].it.kind == FDKIND_CLIENT || plan->fds[i].it.kind == FDKIND_CONNECTION);
	if (found < connected)
		reasons_add(blockers, BLOCKER_CHARDEV_UNKNOWN,
			    "%zu character devices are connected, but only %zu of their sockets are known", connected,
			    found);
}

/* Whoever connects anew is made anew: the order no longer tells which of two connections to one server is whose. */
static void check_twins(const struct plan *plan, struct reasons *blockers)
{
	for (size_t i = 0; i < plan->count && argv_mentions(vm.argv, "reconnect"); i++)
		for (size_t j = 0; j < i; j++) {
			const struct planned *a = &plan->fds[i], *b = &plan->fds[j];

			if (a->it.kind == FDKIND_CONNECTION && b->it.kind == FDKIND_CONNECTION && a->chardev &&
			    b->chardev && a->it.rec.detail_len && a->it.rec.detail_len == b->it.rec.detail_len &&
			    !memcmp(a->it.rec.detail, b->it.rec.detail, a->it.rec.detail_len))
				reasons_add(blockers, BLOCKER_CHARDEV_RECONNECT,
					    "descriptors %d and %d are connected to the same server, by character "
					    "devices with reconnect=",
					    b->it.fd, a->it.fd);
		}
}

/**
 * plan_make() - decide on every descriptor
 * @ret:      the plan; plan_free() ends it
 * @chardevs: answer of query-chardev
 * @fdsets:   answer of query-fdsets
 * @deadline_ns: CLOCK_MONOTONIC
 * @blockers: what cannot be handed over
 *
 * Return: 0 or a negative errno.
 */
int plan_make(struct plan *ret, const json_t *chardevs, json_t *fdsets, uint64_t deadline_ns, struct reasons *blockers)
{
	struct inspected *list;
	size_t n;
	int rc = inspect_descriptors(&list, &n);

	*ret = (struct plan){ .fds = NULL };
	if (rc)
		return rc;
	ret->fds = calloc(n ? n : 1, sizeof(*ret->fds));
	if (!ret->fds) {
		free(list);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		if (list[i].kind != FDKIND_NONE)
			ret->fds[ret->count++] = (struct planned){ .it = list[i], .parent = -1 };
	}
	free(list);
	ret->fdsets = json_incref(fdsets);
	rc = netdevs_query(&ret->netdevs, deadline_ns);
	if (rc)
		return rc;
	mark_netdevs(ret);
	mark_fdsets(ret->fds, ret->count, fdsets);
	check_fdsets(fdsets, blockers);
	for (size_t i = 0; i < ret->count; i++)
		ret->fds[i].action = plan_one(&ret->fds[i], chardevs, blockers);
	plan_clients(ret, chardevs);
	check_listeners(ret, blockers);
	plan_muxes(ret, chardevs);
	ret->stdio = chardevs_is(chardevs, "stdio");
	/* Both are names of one back end. */
	ret->ringbufs = chardevs_is(chardevs, "ringbuf") || chardevs_is(chardevs, "memory");
	check_endpoints(ret, chardevs, blockers);
	telnets_check(ret, chardevs, blockers);
	vsocks_check(ret, chardevs, blockers);
	rings_check(ret, blockers);
	namedfds_check(ret, blockers);
	check_twins(ret, blockers);
	check_netdevs(ret, blockers);
	if (table_why_incomplete())
		reasons_add(blockers, BLOCKER_TABLE_INCOMPLETE, "%s", table_why_incomplete());
	return 0;
}

/** plan_free() - end a plan */
void plan_free(struct plan *plan)
{
	free(plan->fds);
	json_decref(plan->fdsets);
	netdevs_free(&plan->netdevs);
	*plan = (struct plan){ .fds = NULL };
}

/** plan_json() - a plan for status, a new reference */
json_t *plan_json(const struct plan *plan)
{
	json_t *list = json_array();

	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];

		json_array_append_new(list,
				      json_pack("{s:i, s:s, s:s, s:s}", "fd", p->it.fd, "kind", fdkind_text(p->it.kind),
						"action", action_names[p->action], "detail", p->it.link));
	}
	return list;
}
