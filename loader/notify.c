/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * notify.c - tell the service manager how it stands with the VM; see notify.h.
 *
 * A datagram of NAME=value lines to where NOTIFY_SOCKET leads (sd_notify(3)), which only a unit's processes have. It
 * holds no update up: where nobody takes it, nobody is told. The process id goes with it, since a transfer gives the VM
 * another one; that alone is waited with, for a moment, when the guest runs already.
 */
#include "notify.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/settings.h"
#include "clock.h"
#include "vm.h"

/* How long a manager that is busy has to take the news that the process is another. */
#define MOVED_MS 2000

/* @wait_ms: for how long room for it is waited for where nobody reads; 0 not to wait. */
static void send_text(const char *text, unsigned int wait_ms)
{
	struct timeval limit = { .tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const char *to = settings.notify_socket;
	size_t len = to ? strlen(to) : 0;

	/* a path, or an abstract name with '@' for the zero in front */
	if (!len || (to[0] != '/' && to[0] != '@') || len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, to, len);
	if (to[0] == '@')
		addr.sun_path[0] = '\0';
	int fd = real(socket)(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | (wait_ms ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return;
	if (wait_ms)
		real(setsockopt)(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (real(connect)(fd, (struct sockaddr *)&addr, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) ||
	    send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
		log_debug("the service manager was not told: nobody takes it at NOTIFY_SOCKET");
	real(close)(fd);
}

/* @status: a line of its own, whatever is in it. */
static void send_ready(char *status)
{
	char text[1024];

	for (char *at = status; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	snprintf(text, sizeof(text), "READY=1\nMAINPID=%d\nSTATUS=%s\n", (int)getpid(), status);
	send_text(text, 0);
}

/** notify_started() - the VM is there; where it cannot be updated, its log says why */
void notify_started(void)
{
	char status[256];

	snprintf(status, sizeof(status), "QEMU %s", vm.binary.version);
	send_ready(status);
}

/** notify_updating() - an update begins; what follows in any case is notify_result() */
void notify_updating(void)
{
	char text[128];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=QEMU %.32s: update\n",
		 clock_now() / 1000, vm.binary.version);
	send_text(text, 0);
}

/**
 * notify_moved() - the guest is in this process now, and the one that had it is about to end
 *
 * Before it ends: a unit whose main process is gone is stopped, with all that is in it, so room in a full queue is waited
 * for. systemd reads what it is told before it looks for processes that have ended (core/manager.c:manager_setup_notify).
 */
void notify_moved(void)
{
	char text[32];

	snprintf(text, sizeof(text), "MAINPID=%d\n", (int)getpid());
	send_text(text, MOVED_MS);
}

/**
 * notify_result() - an update has ended, and the guest runs in this process
 * @result: as in docs/control-protocol.md
 */
void notify_result(const json_t *result)
{
	const char *outcome = json_string_value(json_object_get(result, "outcome"));
	const char *reason = json_string_value(json_array_get(json_object_get(result, "reasons"), 0));
	char status[768];

	snprintf(status, sizeof(status), "QEMU %s: update %s%s%.512s", vm.binary.version, outcome ? outcome : "ended",
		 reason ? ": " : "", reason ? reason : "");
	send_ready(status);
}
