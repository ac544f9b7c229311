/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit.c - a line in the host's log for everything that is done to a VM: who asked for it, from which binary to which,
 * and how it ended.
 *
 * It goes to /dev/log as syslog(3) would send it, without its descriptor, which would stay open and be the program's.
 * The log never holds an update up: where nobody listens, or there is no room, there is no line.
 */
#include "audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "vm.h"

#define LOG_PATH "/dev/log"
/* Facility authpriv, severity notice (RFC 3164, 4.1.1). */
#define PRIORITY (10 * 8 + 5)

/** audit_asked_on() - what is done from now on was asked for on this connection */
void audit_asked_on(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		snprintf(vm.asked_by, sizeof(vm.asked_by), "somebody");
	else
		snprintf(vm.asked_by, sizeof(vm.asked_by), "user %u, process %d", peer.uid, (int)peer.pid);
}

/** audit_asked_by_signal() - what is done from now on was asked for by SIGUSR2 */
void audit_asked_by_signal(pid_t pid, uid_t uid)
{
	snprintf(vm.asked_by, sizeof(vm.asked_by), "user %u, process %d, by SIGUSR2", uid, (int)pid);
}

static void send_line(char *line, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = LOG_PATH };
	int fd = real(socket)(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* A name may hold anything; a line is a line. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	if (fd < 0)
		return;
	if (real(connect)(fd, (struct sockaddr *)&addr, sizeof(addr)) || send(fd, line, len, MSG_NOSIGNAL) < 0)
		log_debug("no line in the host's log: nobody takes it at " LOG_PATH);
	real(close)(fd);
}

/** audit_note() - one line, with who asked for it at its end */
void audit_note(const char *format, ...)
{
	char line[2048], when[32];
	time_t now = time(NULL);
	struct tm local;
	va_list ap;

	strftime(when, sizeof(when), "%b %e %H:%M:%S", localtime_r(&now, &local));
	size_t len = (size_t)snprintf(line, sizeof(line), "<%d>%s cprshim[%d]: VM \"%s\": ", PRIORITY, when,
				      (int)getpid(), vm.name);
	va_start(ap, format);
	vsnprintf(line + len, sizeof(line) - len, format, ap);
	va_end(ap);
	len = strlen(line);
	snprintf(line + len, sizeof(line) - len, "; asked for by %s", vm.asked_by);
	send_line(line, strlen(line));
}

/** audit_result() - how an update ended */
void audit_result(const json_t *result)
{
	const json_t *from = json_object_get(result, "from"), *to = json_object_get(result, "to");
	const char *reason = json_string_value(json_array_get(json_object_get(result, "reasons"), 0));
	const char *outcome = json_string_value(json_object_get(result, "outcome"));
	const char *text[] = {
		json_string_value(json_object_get(from, "binary")),
		json_string_value(json_object_get(from, "version")),
		json_string_value(json_object_get(to, "binary")),
		json_string_value(json_object_get(to, "version")),
	};

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		text[i] = text[i] ? text[i] : "";
	audit_note("update %s, from %.400s (%s) to %.400s (%s)%s%.400s", outcome ? outcome : "ended", text[0], text[1],
		   text[2], text[3], reason ? ": " : "", reason ? reason : "");
}
