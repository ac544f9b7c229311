/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* requests.c - what monitors are asked, and which answer is whose; see requests.h. */
#include "requests.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/session.h"
#include "changes.h"
#include "fdnames.h"
#include "watched.h"

/* Requests that wait for their answer, of all monitors: QEMU queues eight of each (monitor/qmp.c). */
#define ASKED_MAX 1024

/**
 * struct asked - a request without an answer yet
 * @fd:	     the monitor's connection
 * @id:	     QMP: its id as JSON, or NULL
 * @request: as QMP; NULL where it is none that is watched
 * @hmp:     it was a line
 * @came:    the descriptor that came with it
 */
struct asked {
	int fd;
	bool hmp;
	char *id;
	json_t *request;
	struct fdname came;
};

/* Monitors' thread and the main thread ask and answer. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct asked *asked;
static size_t asked_count;

/* It was answered, and well. */
static void apply(const struct asked *a)
{
	const struct watched *w = watched_find(a->request);

	if (!w) {
		fdnames_apply(&a->came, a->hmp, a->request);
		return;
	}
	json_t *command = watched_command(a->request);
	char *id = watched_id(w, a->request, command);
	fdnames_resolve(a->fd, json_object_get(command, "arguments"));
	if (id && command)
		changes_take(w, id, command);
	free(id);
	json_decref(command);
}

static void forget_asked(size_t i)
{
	free(asked[i].id);
	json_decref(asked[i].request);
	memmove(&asked[i], &asked[i + 1], (asked_count - i - 1) * sizeof(asked[0]));
	asked_count--;
}

static void ask(int fd, const char *id, json_t *request)
{
	if (!asked)
		asked = calloc(ASKED_MAX, sizeof(*asked));
	if (!asked) {
		json_decref(request);
		return;
	}
	if (asked_count == ASKED_MAX)
		forget_asked(0);
	asked[asked_count++] = (struct asked){ .fd = fd, .id = id ? strdup(id) : NULL, .request = request };
}

static char *id_of(const json_t *message)
{
	const json_t *id = json_object_get(message, "id");

	return id ? json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

static json_t *hmp_request(const char *line, size_t len)
{
	/* What was edited with the keyboard cannot be told from its keys. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			return NULL;
	return json_pack("{s:s, s:{s:s%}}", "execute", "human-monitor-command", "arguments", "command-line", line, len);
}

static void on_asked(int fd, bool hmp, const char *text, size_t len)
{
	json_t *request = !text ? NULL : hmp ? hmp_request(text, len) : json_loadb(text, len, 0, NULL);
	char *id = hmp ? NULL : id_of(request);

	pthread_mutex_lock(&lock);
	bool names = fdnames_is_request(request);
	if (!names)
		fdnames_tell(fd, request);
	if (!names && !watched_find(request)) {
		json_decref(request);
		request = NULL;
	}
	ask(fd, id, request);
	if (names && asked_count) {
		asked[asked_count - 1].hmp = hmp;
		asked[asked_count - 1].came = fdnames_newest(fd);
	}
	pthread_mutex_unlock(&lock);
	free(id);
}

static bool same_id(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/*
 * Answers come in the order of the requests, but for out-of-band ones, which have ids. A request that was read
 * otherwise by QEMU than by us is passed over as soon as a later one's id shows it.
 */
static size_t find_asked(int fd, const char *id)
{
	for (size_t i = 0; i < asked_count; i++)
		if (asked[i].fd == fd && same_id(asked[i].id, id))
			return i;
	return asked_count;
}

static void answer_qmp(int fd, const json_t *answer)
{
	if (!json_object_get(answer, "return") && !json_object_get(answer, "error"))
		return; /* an event, the greeting */
	char *id = id_of(answer);
	size_t i = find_asked(fd, id);

	if (i < asked_count) {
		if (asked[i].request && watched_went_well(asked[i].request, answer))
			apply(&asked[i]);
		forget_asked(i);
	}
	free(id);
}

static void on_answered(int fd, bool hmp, const char *text, size_t len)
{
	pthread_mutex_lock(&lock);
	size_t waiting = 0;
	for (size_t i = 0; i < asked_count; i++)
		waiting += asked[i].fd == fd;
	if (waiting && hmp) {
		size_t i = find_asked(fd, NULL);
		char *said = asked[i].request && text ? strndup(text, len) : NULL;

		if (said && watched_hmp_went_well(said))
			apply(&asked[i]);
		free(said);
		forget_asked(i);
	} else if (waiting && text) {
		json_t *answer = json_loadb(text, len, 0, NULL);

		answer_qmp(fd, answer);
		json_decref(answer);
	}
	pthread_mutex_unlock(&lock);
}

static void on_closed(int fd)
{
	pthread_mutex_lock(&lock);
	for (size_t i = asked_count; i-- > 0;)
		if (asked[i].fd == fd)
			forget_asked(i);
	fdnames_forget(fd);
	pthread_mutex_unlock(&lock);
}

/** requests_watch() - begin to watch; before main() */
void requests_watch(void)
{
	static const struct session_watch watch = { on_asked, on_answered, on_closed };

	session_register(&watch);
}
