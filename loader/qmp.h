/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qmp.h - a QMP client.
 *
 * There is one for the private monitor, inside the process that it talks to, and one for each QEMU that is probed; the
 * service thread alone uses them. QEMU answers on the other end of a socketpair; each answer is one line. Events that
 * come in between are looked at for the few that matter here, and dropped: an unread monitor would make QEMU keep them.
 */
#ifndef CPRSHIM_LOADER_QMP_H
#define CPRSHIM_LOADER_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QMP_ERROR_MAX 512
/* Commands that qmp_foresee() may have been told of at a time */
#define QMP_FORESEEN 8

/**
 * struct qmp - one monitor
 * @fd:		the socket; stays the caller's
 * @buf, @len, @size: what has been read and not been given out
 * @line_len:	bytes of the line last given out, still in @buf
 * @next_id:	of the next command
 * @resumed, @reset: such an event has come since qmp_forget_events()
 * @ending:	QEMU has said that the VM is shut down: it may be about to exit
 * @unanswered:	the last command got no answer; it may yet be carried out
 * @migration:	status of the last MIGRATION event since then, or ""
 * @foreseen, @foreseen_count: texts of the next commands; all but the end of the first one has been sent
 */
struct qmp {
	int fd;
	char *buf;
	size_t len;
	size_t size;
	size_t line_len;
	unsigned int next_id;
	bool resumed;
	bool reset;
	bool ending;
	bool unanswered;
	char migration[32];
	char *foreseen[QMP_FORESEEN];
	size_t foreseen_count;
};

/**
 * struct qmp_call - one command
 * @name:      what it is called
 * @arguments: its arguments, or NULL
 * @id:	       by which its answer is known, once it was sent
 */
struct qmp_call {
	const char *name;
	json_t *arguments;
	unsigned int id;
};

extern struct qmp qmp_private; /* the private monitor */

void qmp_release(struct qmp *q);
int qmp_handshake(struct qmp *q, uint64_t deadline_ns);
int qmp_begin(struct qmp *q, struct qmp_call *call, uint64_t deadline_ns, char error[QMP_ERROR_MAX]);
json_t *qmp_end(struct qmp *q, const struct qmp_call *call, uint64_t deadline_ns, char error[QMP_ERROR_MAX]);
json_t *qmp_command(struct qmp *q, const char *name, json_t *arguments, uint64_t deadline_ns,
		    char error[QMP_ERROR_MAX]);
void qmp_foresee(struct qmp *q, const char *name, json_t *arguments);
int qmp_send_first(int fd, char byte, int descriptor);
int qmp_getfd(struct qmp *q, const char *name, int descriptor, uint64_t deadline_ns, char error[QMP_ERROR_MAX]);
int qmp_do(struct qmp *q, const char *name, json_t *arguments, uint64_t deadline_ns, char error[QMP_ERROR_MAX]);
char *qmp_hmp(struct qmp *q, const char *line, uint64_t deadline_ns);
int qmp_wait_event(struct qmp *q, uint64_t deadline_ns);
void qmp_drain(struct qmp *q);
void qmp_forget_events(struct qmp *q);
int qmp_call_on_main(void (*fn)(void *opaque), void *opaque, uint64_t deadline_ns);
uint64_t qmp_in_ms(unsigned int ms);

#endif
