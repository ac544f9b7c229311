/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chardevs.c - which character device has which descriptor? See chardevs.h. */
#include "chardevs.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../shim/decoy.h"
#include "../shim/real.h"
#include "address.h"

/*
 * That of a telnet server is named by what is spoken, not by the family. A client is no telnet client in any more than
 * that name (chardev/char-socket.c:qmp_chardev_open_socket_server).
 */
static bool begins_with(const char **name, const char *text)
{
	size_t len = strlen(text);

	if (!strncmp(*name, "telnet:", 7) && !strncmp(text, "tcp:", 4)) {
		*name += 7;
		text += 4;
		len -= 4;
	}
	if (strncmp(*name, text, len) != 0)
		return false;
	*name += len;
	return !**name || **name == ',' || **name == ' ';
}

/* A device with a vsock connection is "unknown", and one without does not say that it listens. */
static bool is_vsock_name(const char *name, const char *text)
{
	return !strncmp(text, "vsock:", 6) && (!strcmp(name, "unknown") || !strcmp(name, text));
}

static const json_t *find(const json_t *chardevs, const char *text, bool server)
{
	const json_t *dev;
	size_t i;

	json_array_foreach(chardevs, i, dev) {
		const char *name = json_string_value(json_object_get(dev, "filename"));
		const char *label = json_string_value(json_object_get(dev, "label"));

		if (!name || (label && !strcmp(label, "cprshim")))
			continue;
		if (!strncmp(name, "disconnected:", 13))
			name += 13;
		if (is_vsock_name(name, text))
			return dev;
		if (!begins_with(&name, text))
			continue;
		if (server == (strstr(name, "server=on") != NULL))
			return dev;
	}
	return NULL;
}

/** chardevs_named() - has one a file name that begins with this text, as a server or as a client? */
bool chardevs_named(const json_t *chardevs, const char *text, bool server)
{
	return find(chardevs, text, server) != NULL;
}

/** chardevs_is() - has one exactly this file name? */
bool chardevs_is(const json_t *chardevs, const char *file_name)
{
	const json_t *dev;
	size_t i;

	json_array_foreach(chardevs, i, dev) {
		const char *name = json_string_value(json_object_get(dev, "filename"));

		if (name && !strcmp(name, file_name))
			return true;
	}
	return false;
}

/**
 * chardevs_is_abstract() - is this socket's own address in the abstract namespace?
 *
 * QEMU names a connection by its own end's address: one that begins with a zero byte looks empty to it.
 */
bool chardevs_is_abstract(int fd)
{
	struct sockaddr_un addr = { .sun_family = AF_UNSPEC };
	socklen_t len = sizeof(addr);

	return !real(getsockname)(decoy_real(fd), (struct sockaddr *)&addr, &len) && addr.sun_family == AF_UNIX &&
	       len > offsetof(struct sockaddr_un, sun_path) && !addr.sun_path[0];
}

/**
 * chardevs_connected() - the character device that has connected this socket, or NULL
 *
 * QEMU names a connection by its local address, which is empty for a UNIX client; newer ones then take the server's.
 */
const json_t *chardevs_connected(int fd, const json_t *chardevs)
{
	const json_t *dev;
	char text[256];

	address_text(fd, false, text, sizeof(text));
	dev = find(chardevs, *text ? text : "unix:", false);
	if (dev || *text)
		return dev;
	address_text(fd, true, text, sizeof(text));
	return *text ? find(chardevs, text, false) : NULL;
}

/** chardevs_of() - the one that reads and writes this descriptor: a terminal, a client, a connection; or NULL */
const json_t *chardevs_of(const struct inspected *it, const json_t *chardevs)
{
	char text[256] = "pty:";

	switch (it->kind) {
	case FDKIND_STDIO:
		return it->fd == STDIN_FILENO ? find(chardevs, "stdio", false) : NULL;
	case FDKIND_PTY_MASTER:
		return ptsname_r(decoy_real(it->fd), text + 4, sizeof(text) - 4) ? NULL : find(chardevs, text, false);
	case FDKIND_CLIENT:
		address_text(it->fd, false, text, sizeof(text));
		return find(chardevs, chardevs_is_abstract(it->fd) ? "unix:" : text, true);
	case FDKIND_CONNECTION:
		return chardevs_connected(it->fd, chardevs);
	default:
		return NULL;
	}
}
