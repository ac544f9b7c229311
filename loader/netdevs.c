/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* netdevs.c - QEMU's network back ends; see netdevs.h. */
#include "netdevs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "argv.h"
#include "optvalue.h"
#include "qmp.h"
#include "vm.h"

#define ADDRESS 300

/*
 * " \ hub0port1: net1: index=0,type=stream,unix:/path": the indented part and the hub's port are not its own
 * (net/net.c:print_net_client).
 */
static void add_line(struct netdevs *n, char *line)
{
	char *behind = strstr(line, ": index="), *type = behind ? strstr(behind, ",type=") : NULL;

	if (!type || n->count == NETDEVS_MAX)
		return;
	*behind = '\0';
	char *space = strrchr(line, ' '), *info = strchr(type + 1, ',');
	if (info)
		*info++ = '\0';
	n->list[n->count++] =
		(struct netdev){ .name = space ? space + 1 : line, .type = type + 6, .info = info ? info : "" };
}

/**
 * netdevs_query() - list them
 * @ret:	 the list; netdevs_free() ends it in any case
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Return: 0 or a negative errno.
 */
int netdevs_query(struct netdevs *ret, uint64_t deadline_ns)
{
	char *save = NULL;

	ret->count = 0;
	ret->text = qmp_hmp(&qmp_private, "info network", deadline_ns);
	if (!ret->text)
		return -EIO;
	for (char *line = strtok_r(ret->text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save))
		add_line(ret, line);
	return 0;
}

/** netdevs_free() - end a list */
void netdevs_free(struct netdevs *netdevs)
{
	free(netdevs->text);
	*netdevs = (struct netdevs){ .text = NULL };
}

/* An address as a network back end writes it: without brackets (util/qemu-sockets.c:socket_uri). */
static void plain_address(int fd, bool peer, char *ret)
{
	char text[ADDRESS], *to = ret;

	address_text(fd, peer, text, sizeof(text));
	for (const char *at = text; *at; at++)
		if (*at != '[' && *at != ']')
			*to++ = *at;
	*to = '\0';
}

static bool says(const struct netdev *netdev, const char *before, const char *address, const char *after)
{
	char text[ADDRESS + 64];

	snprintf(text, sizeof(text), "%s%s%s", before, address, after);
	return !strcmp(netdev->info, text);
}

static bool begins(const struct netdev *netdev, const char *before, const char *address, const char *after)
{
	char text[ADDRESS + 64];

	snprintf(text, sizeof(text), "%s%s%s", before, address, after);
	return !strncmp(netdev->info, text, strlen(text));
}

/* "socket,udp=" tells the peer's address, by which it cannot be found; the local one stands on the command line. */
static bool has_local_address(const char *address)
{
	static const char *const options[] = { "netdev", "nic", "net", NULL };
	char value[ADDRESS];

	for (size_t i = 0; options[i]; i++)
		for (size_t n = 0; argv_value(vm.argv, options[i], n); n++)
			if (optvalue_get(argv_value(vm.argv, options[i], n), "localaddr", value, sizeof(value)) &&
			    (!strcmp(value, address) ||
			     (*value == ':' && !strncmp(address, "0.0.0.0:", 8) && !strcmp(value, address + 7))))
				return true;
	return false;
}

static bool is_stream(const struct netdev *netdev, const struct inspected *it, const char *mine, const char *peer)
{
	if (it->kind == FDKIND_CONNECTION)
		return says(netdev, *peer ? "" : "unix:", peer, "");
	return it->kind == FDKIND_CLIENT && says(netdev, "", strncmp(mine, "unix:", 5) ? peer : mine, "");
}

/* @mine and @peer without "tcp:" or "unix:" in front. */
static bool is_socket(const struct netdev *netdev, const struct inspected *it, const char *mine, const char *peer)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", it->fd);
	switch (it->kind) {
	case FDKIND_CONNECTION:
		return says(netdev, "socket: connect to ", peer, "") || says(netdev, "socket: fd=", number, "") ||
		       begins(netdev, "socket: fd=", number, " ");
	case FDKIND_CLIENT:
		return says(netdev, "socket: connection from ", peer, "");
	case FDKIND_SOCKET:
		return says(netdev, "socket: mcast=", mine, "") || begins(netdev, "socket: fd=", number, " ") ||
		       (begins(netdev, "socket: udp=", "", "") && has_local_address(mine));
	default:
		return false;
	}
}

static bool is_dgram(const struct netdev *netdev, const struct inspected *it, const char *mine)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", it->fd);
	if (begins(netdev, "fd=", number, " ") || says(netdev, "fd=", number, ""))
		return it->kind == FDKIND_CONNECTION || it->kind == FDKIND_SOCKET;
	return it->kind == FDKIND_SOCKET && *mine &&
	       (says(netdev, "mcast=", mine, "") || begins(netdev, "udp=", mine, "/") ||
		begins(netdev, "udp=", mine, ":"));
}

static const char *behind_colon(const char *address)
{
	const char *colon = strchr(address, ':');

	return colon ? colon + 1 : address;
}

/** netdevs_of_socket() - whose socket is this? NULL where it is no network back end's. */
const struct netdev *netdevs_of_socket(const struct netdevs *netdevs, const struct inspected *it)
{
	char mine[ADDRESS], peer[ADDRESS];

	plain_address(it->fd, false, mine);
	plain_address(it->fd, true, peer);
	for (size_t i = 0; i < netdevs->count; i++) {
		const struct netdev *n = &netdevs->list[i];

		if ((!strcmp(n->type, "stream") && is_stream(n, it, mine, peer)) ||
		    (!strcmp(n->type, "socket") && is_socket(n, it, behind_colon(mine), behind_colon(peer))) ||
		    (!strcmp(n->type, "dgram") && is_dgram(n, it, behind_colon(mine))))
			return n;
	}
	return NULL;
}

/** netdevs_has_socket() - does this back end have a socket that is not a listener now? */
bool netdevs_has_socket(const struct netdev *netdev)
{
	static const char *const connected[] = { "unix:", "tcp:", "vsock:", "fd:", NULL };

	if (!strcmp(netdev->type, "dgram"))
		return true;
	if (!strcmp(netdev->type, "socket"))
		return begins(netdev, "socket: ", "", "");
	for (size_t i = 0; !strcmp(netdev->type, "stream") && connected[i]; i++)
		if (begins(netdev, connected[i], "", ""))
			return true;
	return false;
}

/** netdevs_connected() - is there a back end of this name, and does it have its socket? */
bool netdevs_connected(const struct netdevs *netdevs, const char *name)
{
	for (size_t i = 0; i < netdevs->count; i++)
		if (!strcmp(netdevs->list[i].name, name) && netdevs_has_socket(&netdevs->list[i]))
			return true;
	return false;
}
