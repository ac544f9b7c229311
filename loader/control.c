/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* control.c - the control socket; see control.h. */
#include "control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/settings.h"
#include "../shim/slots.h"
#include "../state/rundir.h"
#include "audit.h"
#include "clock.h"
#include "qmp.h"
#include "reasons.h"
#include "service.h"
#include "status.h"
#include "update.h"
#include "vm.h"

#define REQUEST_MAX 65536
/* A peer that connects and says nothing holds up the service thread for no longer. */
#define REQUEST_MS 2000
/* QEMU takes a moment from its last command to exit(), and longer where its disks are slow. */
#define ENDING_S 30

static int listener = -1;
static atomic_int requester = -1; /* who waits for the outcome of the update under way */
static char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];

/* Who else may put something there could put it in our place: links that the way back follows, for example. */
static bool is_others(const char *dir)
{
	struct stat st;

	return stat(dir, &st) || (st.st_uid && st.st_uid != geteuid()) ||
	       (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX));
}

static int listen_in(const char *dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	if (is_others(dir))
		return -EPERM;
	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/" RUNDIR_SOCKET, dir, (int)getpid()) >=
	    sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	int fd = real(socket)(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* What another process of this id has left behind. The socket is ours alone before anyone can connect: fchmod() on a
	   socket sets the mode that bind() gives the path (unix(7)). */
	real(unlink)(addr.sun_path);
	if (fchmod(fd, 0600) || real(bind)(fd, (struct sockaddr *)&addr, sizeof(addr)) || real(listen)(fd, 16)) {
		int err = -errno;

		real(close)(fd);
		return err;
	}
	strcpy(path, addr.sun_path);
	return slots_move(fd);
}

/** control_open() - listen in the run directory; a VM without one can still be updated by SIGUSR2 */
void control_open(void)
{
	char dir[PATH_MAX];

	listener = listen_in(settings.rundir ? settings.rundir : RUNDIR_DEFAULT);
	if (listener < 0 && !settings.rundir && settings.runtime_dir) {
		snprintf(dir, sizeof(dir), "%s/" RUNDIR_USER, settings.runtime_dir);
		listener = listen_in(dir);
	}
	if (listener < 0)
		log_warn("no control socket: %s; cprctl does not reach this VM, SIGUSR2 does", strerror(-listener));
}

/** control_adopt() - in a successor: go on listening; who waits for the outcome is connected already, or -1 */
void control_adopt(int fd, const char *socket_path, int waiting)
{
	listener = fd;
	atomic_store(&requester, waiting);
	snprintf(path, sizeof(path), "%s", socket_path);
}

/* What lies in the socket's directory. */
static void beside(char *ret, size_t size, pid_t pid, const char *suffix)
{
	const char *slash = strrchr(path, '/');

	snprintf(ret, size, "%.*s/%d%s", slash ? (int)(slash - path) : 0, path, (int)pid, suffix);
}

/**
 * control_move() - the VM has another process id by now: listen under that
 * @from: what it had
 */
void control_move(pid_t from)
{
	char old[sizeof(path) + 16];

	slots_close(listener);
	if (path[0]) {
		beside(old, sizeof(old), from, ".sock");
		real(unlink)(old);
	}
	path[0] = '\0';
	control_open();
}

/** control_listener() - the listening socket, or a negative number */
int control_listener(void)
{
	return listener;
}

/** control_path() - its path, or "" */
const char *control_path(void)
{
	return path;
}

/**
 * control_links_dir() - a directory of a VM's own beside its socket, which may not exist
 * @pid: its process
 *
 * Return: the path, which the next call writes over; "" without a run directory.
 */
const char *control_links_dir(pid_t pid)
{
	static char dir[sizeof(path) + 16];

	dir[0] = '\0';
	if (path[0])
		beside(dir, sizeof(dir), pid, ".files");
	return dir;
}

/** control_remove() - QEMU is about to exit: remove the path */
void control_remove(void)
{
	if (path[0])
		real(unlink)(path);
	path[0] = '\0';
}

static void send_line(int fd, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0, done = 0;
	uint64_t until = clock_now() + UINT64_C(1000000) * REQUEST_MS;

	if (text)
		text[len++] = '\n'; /* the terminating zero's place */
	while (done < len) {
		ssize_t n = send(fd, text + done, len - done, MSG_NOSIGNAL | MSG_DONTWAIT);
		struct pollfd wait = { .fd = fd, .events = POLLOUT };

		if (n > 0)
			done += (size_t)n;
		else if (errno != EAGAIN || poll(&wait, 1, clock_left_ms(until)) <= 0)
			break; /* a peer that does not read, or is gone, gets no answer */
	}
	free(text);
}

/**
 * control_progress() - tell the requester how far its update is
 * @fd:	   its connection, or -1
 * @stage: name of the stage
 * @text:  for people
 */
void control_progress(int fd, const char *stage, const char *text)
{
	if (fd < 0)
		return;
	json_t *message = json_pack("{s:s, s:s, s:s}", "type", "progress", "stage", stage, "text", text);
	send_line(fd, message);
	json_decref(message);
}

/**
 * control_finish() - send the final answer and close the connection
 * @fd:	    the connection, one of ours, or -1
 * @result: taken over
 */
void control_finish(int fd, json_t *result)
{
	int waiting = fd;

	if (fd >= 0) {
		/* No other thread is to write there from here on, nor to where this number leads next. */
		atomic_compare_exchange_strong(&requester, &waiting, -1);
		json_object_set_new(result, "type", json_string("result"));
		send_line(fd, result);
		slots_close(fd);
	}
	json_decref(result);
}

static json_t *refusal(enum blocker blocker, const char *what)
{
	struct reasons reasons = REASONS_INIT;

	reasons_add(&reasons, blocker, "%s", what);
	json_t *result = json_pack("{s:b, s:s, s:o, s:o}", "ok", 0, "outcome", "refused", "reasons",
				   reasons_json(&reasons), "blockers", reasons_blockers(&reasons));
	reasons_free(&reasons);
	return result;
}

/**
 * control_ended() - QEMU is about to exit of its own accord: tell whoever waits for an update
 *
 * On QEMU's threads, while the service thread may be at work on that update; it says nothing more after this.
 */
void control_ended(void)
{
	int fd = atomic_exchange(&requester, -1);

	if (fd < 0)
		return;
	json_t *result = refusal(BLOCKER_VM_ENDED,
				 "the VM ended in the middle of the update: shut down by its guest, or told to quit");
	json_object_set_new(result, "type", json_string("result"));
	json_object_set_new(result, "outcome", json_string("ended"));
	send_line(fd, result);
	json_decref(result);
}

static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) && (peer.uid == 0 || peer.uid == geteuid());
}

static json_t *read_request(int fd)
{
	static char line[REQUEST_MAX];
	uint64_t until = clock_now() + UINT64_C(1000000) * REQUEST_MS;
	size_t len = 0;

	while (len < sizeof(line)) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };

		if (poll(&wait, 1, clock_left_ms(until)) <= 0)
			return NULL;
		ssize_t n = real(recv)(fd, line + len, sizeof(line) - len, MSG_DONTWAIT);
		if (n <= 0)
			return NULL;
		len += (size_t)n;
		char *end = memchr(line, '\n', len);
		if (end)
			return json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
	}
	return NULL;
}

static int accept_one(void)
{
	int fd = listener < 0 ? -1 : real(accept4)(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return -1;
	/* Where the numbers are used up it keeps its own, so that it can be told why there is no update. */
	int high = slots_park(fd);
	if (high >= 0)
		real(close)(fd);
	fd = high >= 0 ? high : slots_adopt(fd);
	if (fd >= 0)
		audit_asked_on(fd);
	if (fd >= 0 && !may_ask(fd)) {
		audit_note("a request was refused: this user may not control the VM");
		control_finish(fd, refusal(BLOCKER_NOT_PERMITTED, "this user may not control this VM"));
		return -1;
	}
	return fd;
}

static unsigned int number_of(const json_t *request, const char *member)
{
	json_int_t n = json_integer_value(json_object_get(request, member));

	return n > 0 && n <= 86400 ? (unsigned int)n : 0;
}

/* true, false or "full"; without a word an update is rehearsed, and a check is not. */
static int rehearsal_of(const json_t *request, bool by_default)
{
	const json_t *how = json_object_get(request, "rehearse");

	if (json_is_string(how) && !strcmp(json_string_value(how), "full"))
		return REHEARSE_FULL;
	return json_is_true(how) || (by_default && !json_is_false(how)) ? REHEARSE_FIRST : REHEARSE_NOT;
}

/* The command of a request, to be freed; its strings are the request's. NULL where there is none, or it is none. */
static char **argv_of(const json_t *request)
{
	const json_t *list = json_object_get(request, "argv"), *word;
	char **argv = json_array_size(list) ? calloc(json_array_size(list) + 1, sizeof(*argv)) : NULL;
	size_t i;

	if (!argv)
		return NULL;
	json_array_foreach(list, i, word) {
		argv[i] = (char *)json_string_value(word);
		if (argv[i])
			continue;
		free(argv);
		return NULL;
	}
	return argv;
}

static json_t *done(void)
{
	return json_pack("{s:b}", "ok", 1);
}

static json_t *inhibit(const json_t *request)
{
	const char *reason = json_string_value(json_object_get(request, "reason"));

	snprintf(vm.inhibited, sizeof(vm.inhibited), "%s", reason && *reason ? reason : "no reason was given");
	audit_note("updates inhibited: %s", vm.inhibited);
	return done();
}

static json_t *uninhibit(void)
{
	if (vm.inhibited[0])
		audit_note("updates no longer inhibited");
	vm.inhibited[0] = '\0';
	return done();
}

/* A QEMU that has closed our monitor is on its way out, and it is control_ended() that tells. */
static void let_it_end(void)
{
	struct pollfd monitor = { .fd = qmp_private.fd, .events = POLLIN };

	if (poll(&monitor, 1, 0) == 1 && monitor.revents & (POLLHUP | POLLERR))
		sleep(ENDING_S);
}

static void update(int fd, const struct update_request *request)
{
	atomic_store(&requester, fd);
	json_t *result = update_run(request);
	let_it_end();
	service_refuse_late();
	control_finish(fd, result);
}

static void answer(int fd, const json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));
	const char *binary = json_string_value(json_object_get(request, "binary"));
	struct update_request asked = {
		.binary = binary,
		.argv = argv_of(request),
		.method = json_string_value(json_object_get(request, "method")),
		.to = json_string_value(json_object_get(request, "to")),
		.original = -1,
		.rehearse = rehearsal_of(request, command && !strcmp(command, "update")),
		.max_blackout_ms = number_of(request, "max_blackout"),
		.hold = json_is_true(json_object_get(request, "paused")),
		.timeout_s = number_of(request, "timeout"),
		.requester = fd,
	};

	if (!command) {
		control_finish(fd, refusal(BLOCKER_REQUEST, "the request is not a JSON object with a command"));
	} else if (json_object_get(request, "argv") && !asked.argv) {
		control_finish(fd, refusal(BLOCKER_REQUEST, "\"argv\" is not a list of words"));
	} else if (!strcmp(command, "update")) {
		update(fd, &asked);
	} else if (!strcmp(command, "inhibit")) {
		control_finish(fd, inhibit(request));
	} else if (!strcmp(command, "uninhibit")) {
		control_finish(fd, uninhibit());
	} else if (!strcmp(command, "check")) {
		control_finish(fd, update_check(&asked));
	} else if (!strcmp(command, "status")) {
		control_finish(fd, status_answer());
	} else if (!strcmp(command, "history")) {
		control_finish(fd, status_history());
	} else {
		control_finish(fd, refusal(BLOCKER_REQUEST, "the command is not known"));
	}
	free(asked.argv);
}

/** control_serve() - take one connection and answer it */
void control_serve(void)
{
	int fd = accept_one();

	if (fd < 0)
		return;
	json_t *request = read_request(fd);
	answer(fd, request);
	json_decref(request);
}

/** control_refuse_waiting() - refuse the updates that were asked for while one was under way; answer anything else */
void control_refuse_waiting(void)
{
	int fd;

	while ((fd = accept_one()) >= 0) {
		json_t *request = read_request(fd);
		const char *command = json_string_value(json_object_get(request, "command"));

		if (command && !strcmp(command, "update"))
			control_finish(fd, refusal(BLOCKER_UPDATE_UNDER_WAY, "an update was already in progress"));
		else
			answer(fd, request);
		json_decref(request);
	}
}
