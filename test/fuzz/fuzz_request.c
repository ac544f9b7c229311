/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fuzz_request.c - libFuzzer on what a client of the control socket sends; see run. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/audit.h"
#include "loader/control.h"
#include "loader/qmp.h"
#include "loader/service.h"
#include "loader/status.h"
#include "loader/update.h"
#include "loader/vm.h"
#include "shim/slots.h"

struct vm vm;
struct qmp qmp_private = { .fd = -1 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(int good)
{
	if (!good)
		abort();
}

/* What a request leads to is not what is tried here; what it asks for must be whole. */
static json_t *look(const struct update_request *request)
{
	size_t bytes = request->binary ? strlen(request->binary) : 0;

	for (size_t i = 0; request->argv && request->argv[i]; i++)
		bytes += strlen(request->argv[i]);
	demand(!request->argv || request->argv[0]);
	demand(request->timeout_s <= 86400 && bytes < 65536);
	return json_pack("{s:b}", "ok", 1);
}

json_t *update_run(const struct update_request *request)
{
	return look(request);
}

json_t *update_check(const struct update_request *request)
{
	return look(request);
}

json_t *status_answer(void)
{
	return json_pack("{s:b}", "ok", 1);
}

json_t *status_history(void)
{
	return json_pack("{s:b}", "ok", 1);
}

void service_refuse_late(void)
{
}

void audit_asked_on(int fd)
{
	(void)fd;
}

void audit_note(const char *format, ...)
{
	(void)format;
}

/* One answer, an object that says whether it was done, and then the end. */
static void check_answer(int fd)
{
	static char text[65536];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(text) && (n = recv(fd, text + len, sizeof(text) - len, 0)) > 0)
		len += (size_t)n;
	demand(len && text[len - 1] == '\n' && memchr(text, '\n', len) == text + len - 1);
	json_t *answer = json_loadb(text, len, 0, NULL);
	const char *type = json_string_value(json_object_get(answer, "type"));
	demand(type && !strcmp(type, "result") && json_is_boolean(json_object_get(answer, "ok")));
	json_decref(answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sockaddr_un addr = { .sun_family = AF_UNIX };
	static socklen_t len = sizeof(sa_family_t);
	static int listener = -1;

	if (listener < 0) {
		slots_setup();
		listener = socket(AF_UNIX, SOCK_STREAM, 0);
		/* Without a name the kernel chooses one. */
		demand(!bind(listener, (struct sockaddr *)&addr, len) && !listen(listener, 4));
		len = sizeof(addr);
		demand(!getsockname(listener, (struct sockaddr *)&addr, &len));
		control_adopt(listener, "", -1);
	}
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	demand(!connect(fd, (struct sockaddr *)&addr, len));
	demand(send(fd, data, size, 0) == (ssize_t)size && !shutdown(fd, SHUT_WR));
	control_serve();
	check_answer(fd);
	close(fd);
	return 0;
}
