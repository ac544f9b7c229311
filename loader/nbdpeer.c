/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nbdpeer.c - NBD servers that end with their client; see nbdpeer.h.
 *
 * An update closes a disk's connection and the new QEMU makes one. qemu-nbd without --persistent is gone then, and with
 * it the disk: neither QEMU could come up.
 */
#include "nbdpeer.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "../shim/real.h"

/* qemu-nbd's short options that take no argument, of which several may stand behind one dash (qemu-nbd.c). */
#define FLAGS "rsndtLvVh"

static bool is_persistent(const char *arg)
{
	if (!strncmp(arg, "--", 2))
		return strlen(arg) >= 5 && !strncmp("--persistent", arg, strlen(arg));
	return arg[0] == '-' && strchr(arg, 't') && strspn(arg + 1, FLAGS) >= strcspn(arg + 1, "t");
}

/**
 * nbdpeer_ends() - is the peer of a connection a qemu-nbd that ends when the connection does?
 * @fd: QEMU's descriptor
 *
 * The kernel tells the peer's process for UNIX sockets only.
 */
bool nbdpeer_ends(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	char path[64], text[4096];
	bool persistent = false;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.pid <= 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)peer.pid);
	int file = real(open)(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
	if (file >= 0)
		real(close)(file);
	text[n > 0 ? n : 0] = '\0';
	const char *name = strrchr(text, '/') ? strrchr(text, '/') + 1 : text;
	if (strcmp(name, "qemu-nbd") != 0)
		return false;
	for (const char *arg = text + strlen(text) + 1; arg < text + n; arg += strlen(arg) + 1)
		persistent |= is_persistent(arg);
	return !persistent;
}
