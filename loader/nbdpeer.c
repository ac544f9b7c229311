/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbdpeer.c - what the NBD server at a connection's other end is known to do; see nbdpeer.h.
 *
 * That of a qemu-nbd is read from its command line. The kernel tells the peer's process for UNIX sockets only.
 */
#include "nbdpeer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "../shim/real.h"

#define COMMAND_MAX 4096
/* qemu-nbd's short options that take no argument, of which several may stand behind one dash (qemu-nbd.c). */
#define FLAGS "rsndtLvVh"

/* Return: how much of the file there is; @ret ends with a zero byte. */
static size_t read_of_peer(int fd, const char *file, char *ret, size_t size)
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	char path[64];

	ret[0] = '\0';
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.pid <= 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)peer.pid, file);
	int proc = real(open)(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = proc < 0 ? 0 : read(proc, ret, size - 1);
	if (proc >= 0)
		real(close)(proc);
	n = n > 0 ? n : 0;
	ret[n] = '\0';
	return (size_t)n;
}

/* Return: the length of the command line of a qemu-nbd, or 0. */
static size_t read_qemu_nbd(int fd, char ret[COMMAND_MAX])
{
	size_t n = read_of_peer(fd, "cmdline", ret, COMMAND_MAX);
	const char *name = strrchr(ret, '/') ? strrchr(ret, '/') + 1 : ret;

	return strcmp(name, "qemu-nbd") ? 0 : n;
}

static const char *next_of(const char *arg)
{
	return arg + strlen(arg) + 1;
}

/* The long option, or any beginning of it that is its own. */
static bool is_long(const char *arg, const char *name, size_t least)
{
	size_t len = strcspn(arg, "=");

	return len >= least && !strncmp(name, arg, len);
}

static bool is_persistent(const char *arg)
{
	if (!strncmp(arg, "--", 2))
		return is_long(arg, "--persistent", 5);
	return arg[0] == '-' && strchr(arg, 't') && strspn(arg + 1, FLAGS) >= strcspn(arg + 1, "t");
}

/* What stands behind -e or --shared, which may be the next argument; NULL where it is another option. */
static const char *shared_value(const char *arg, const char *end)
{
	const char *value;

	if (!strncmp(arg, "--", 2) && is_long(arg, "--shared", 4)) {
		value = strchr(arg, '=') ? strchr(arg, '=') + 1 : next_of(arg);
	} else if (arg[0] == '-' && arg[1 + strspn(arg + 1, FLAGS)] == 'e') {
		value = arg + 2 + strspn(arg + 1, FLAGS);
		value = *value ? value : next_of(arg);
	} else {
		return NULL;
	}
	return value < end ? value : "";
}

/** nbdpeer_ends() - is the peer of a connection a qemu-nbd that ends when its last client does? */
bool nbdpeer_ends(int fd)
{
	char text[COMMAND_MAX];
	size_t n = read_qemu_nbd(fd, text);
	bool persistent = false;

	if (!n)
		return false;
	for (const char *arg = next_of(text); arg < text + n; arg = next_of(arg))
		persistent |= is_persistent(arg);
	return !persistent;
}

/** nbdpeer_serves_one() - is the peer of a connection a qemu-nbd that serves one client at a time? */
bool nbdpeer_serves_one(int fd)
{
	char text[COMMAND_MAX];
	size_t n = read_qemu_nbd(fd, text);
	unsigned long shared = 1;

	if (!n)
		return false;
	for (const char *arg = next_of(text); arg < text + n; arg = next_of(arg)) {
		const char *value = shared_value(arg, text + n);

		shared = value ? strtoul(value, NULL, 0) : shared;
	}
	return shared == 1;
}

/** nbdpeer_is_stopped() - is the process at a connection's other end stopped by a signal? */
bool nbdpeer_is_stopped(int fd)
{
	char text[512];

	read_of_peer(fd, "stat", text, sizeof(text));
	const char *state = strrchr(text, ')');
	return state && strlen(state) > 2 && (state[2] == 'T' || state[2] == 't');
}
