/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* service.c - the shim's thread; see service.h. */
#include "service.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/guard.h"
#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "../shim/table.h"
#include "audit.h"
#include "clock.h"
#include "control.h"
#include "entities.h"
#include "execute.h"
#include "hugepages.h"
#include "notify.h"
#include "pins.h"
#include "qmp.h"
#include "result.h"
#include "rollback.h"
#include "successor.h"
#include "update.h"
#include "vm.h"

/* QEMU may wait for a client of a chardev (wait=on) for as long as it likes before its monitors answer. */
#define STARTUP_MS UINT32_C(1000 * 3600 * 24)

static int wakeup = -1;	      /* eventfd, written by the signal handler */
static volatile pid_t sender; /* who sent the last SIGUSR2 */
static volatile uid_t sender_uid;

static void on_usr2(int signal, siginfo_t *info, void *context)
{
	int saved = errno;
	uint64_t one = 1;

	(void)signal;
	(void)context;
	/* In a child of QEMU's that has not yet exec'd it is nobody's; one of our own only interrupts (qmp.c). */
	if (guard_is_owner() && !execute_on_signal() && info->si_pid != getpid()) {
		sender = info->si_pid;
		sender_uid = info->si_uid;
		if (write(wakeup, &one, sizeof(one)) < 0)
			errno = saved;
	}
	errno = saved;
}

/**
 * service_catch_signal() - install the handler of SIGUSR2 and let the calling thread take it
 *
 * Before main(): the default action of SIGUSR2 would end the VM.
 */
void service_catch_signal(void)
{
	struct sigaction act = { .sa_sigaction = on_usr2, .sa_flags = SA_RESTART | SA_SIGINFO };
	sigset_t usr2;

	wakeup = slots_move(real(eventfd)(0, EFD_CLOEXEC | EFD_NONBLOCK));
	sigaction(SIGUSR2, &act, NULL);
	sigemptyset(&usr2);
	sigaddset(&usr2, SIGUSR2);
	pthread_sigmask(SIG_UNBLOCK, &usr2, NULL);
}

static void on_usr2_refused(int signal)
{
	static const char text[] = "cprshim: SIGUSR2 is ignored: this VM cannot be updated, see above\n";
	int saved = errno;

	(void)signal;
	if (write(log_descriptor(), text, sizeof(text) - 1) < 0)
		errno = saved;
	errno = saved;
}

/** service_refuse_signal() - of a VM that cannot be updated: SIGUSR2 is for that, and must not end it */
void service_refuse_signal(void)
{
	struct sigaction act = { .sa_handler = on_usr2_refused, .sa_flags = SA_RESTART };

	sigaction(SIGUSR2, &act, NULL);
}

/**
 * service_prepare_monitor() - make the private monitor's socket, and the configuration that makes QEMU use it
 *
 * It goes in by -readconfig: -mon or -qmp on the command line would take QEMU's default monitor away (softmmu/vl.c,
 * default_monitor).
 *
 * Return: the configuration's path, constant, or NULL.
 */
const char *service_prepare_monitor(void)
{
	static char path[64];
	char text[256];
	int pair[2];

	if (real(socketpair)(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return NULL;
	qmp_private.fd = slots_move(pair[0]);
	int qemu = slots_move(pair[1]);
	int config = slots_memfd("cprshim-monitor");
	if (qmp_private.fd < 0 || qemu < 0 || config < 0)
		return NULL;
	slots_give_up(qemu); /* QEMU closes it when it ends */
	table_note_text(qemu, FDKIND_SHIM, HOOK_socketpair, "private monitor, QEMU's end");
	int len = snprintf(text, sizeof(text),
			   "[chardev \"cprshim\"]\n  backend = \"socket\"\n  fd = \"%d\"\n"
			   "[mon \"cprshim\"]\n  mode = \"control\"\n  chardev = \"cprshim\"\n",
			   qemu);
	if (write(config, text, (size_t)len) != len)
		return NULL;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", config);
	return path;
}

/** service_learn_version() - ask QEMU for its version */
void service_learn_version(void)
{
	char error[QMP_ERROR_MAX];
	json_t *answer = qmp_command(&qmp_private, "query-version", NULL, qmp_in_ms(10000), error);
	const json_t *number = json_object_get(answer, "qemu");
	const char *package = json_string_value(json_object_get(answer, "package"));

	snprintf(vm.binary.version, sizeof(vm.binary.version), "%d.%d.%d",
		 (int)json_integer_value(json_object_get(number, "major")),
		 (int)json_integer_value(json_object_get(number, "minor")),
		 (int)json_integer_value(json_object_get(number, "micro")));
	snprintf(vm.binary.package, sizeof(vm.binary.package), "%s", package ? package : "");
	json_decref(answer);
}

static void learn_machine(void)
{
	char error[QMP_ERROR_MAX];
	json_t *type =
		qmp_command(&qmp_private, "qom-get", json_pack("{s:s, s:s}", "path", "/machine", "property", "type"),
			    qmp_in_ms(10000), error);
	json_t *name = qmp_command(&qmp_private, "query-name", NULL, qmp_in_ms(10000), error);
	json_t *guid = qmp_command(&qmp_private, "query-vm-generation-id", NULL, qmp_in_ms(10000), error);
	const char *text = json_string_value(type);

	if (text)
		snprintf(vm.machine, sizeof(vm.machine), "%.*s",
			 (int)(strlen(text) -
			       (strlen(text) > 8 && !strcmp(text + strlen(text) - 8, "-machine") ? 8 : 0)),
			 text);
	text = json_string_value(json_object_get(name, "name"));
	snprintf(vm.name, sizeof(vm.name), "%s", text ? text : "");
	text = json_string_value(json_object_get(guid, "guid"));
	snprintf(vm.vmgenid, sizeof(vm.vmgenid), "%s", text ? text : "");
	json_decref(type);
	json_decref(name);
	json_decref(guid);
}

/* A VM that has just been started: what is true of it now is what its command line says. */
static void get_to_know(void)
{
	if (qmp_handshake(&qmp_private, qmp_in_ms(STARTUP_MS))) {
		log_error("the private monitor does not answer: this VM cannot be updated");
		return;
	}
	service_learn_version();
	learn_machine();
	vm.entities = entities_query(qmp_in_ms(30000));
	vm.started_seq = table_next_seq();
	pins_take();
	if (table_why_incomplete())
		log_warn("this VM cannot be updated: %s", table_why_incomplete());
	else
		log_info("QEMU %s (%s), machine %s: ready to be updated", vm.binary.version, vm.binary.package,
			 vm.machine);
}

static bool take_wakeup(void)
{
	uint64_t n;

	return read(wakeup, &n, sizeof(n)) == sizeof(n);
}

/**
 * service_refuse_late() - requests that came in while an update was under way are refused: they asked for what is done
 *
 * Before anybody is told of its end: who asks again after that is not late.
 */
void service_refuse_late(void)
{
	if (take_wakeup())
		log_warn("SIGUSR2 from process %d came during an update and is ignored", (int)sender);
	control_refuse_waiting();
}

static void update_by_signal(void)
{
	struct update_request request = { .requester = -1, .original = -1, .rehearse = REHEARSE_FIRST, .timeout_s = 0 };

	log_info("SIGUSR2 from process %d: update", (int)sender);
	audit_asked_by_signal(sender, sender_uid);
	json_decref(update_run(&request));
	service_refuse_late();
}

static void loop(void)
{
	for (;;) {
		struct pollfd wait[] = {
			{ .fd = wakeup, .events = POLLIN },
			{ .fd = control_listener(), .events = POLLIN },
			{ .fd = qmp_private.fd, .events = POLLIN },
		};

		int n = poll(wait, 3, hugepages_due_ms());

		if (n == 0)
			hugepages_step();
		if (n <= 0)
			continue;
		if (wait[2].revents) {
			qmp_drain(&qmp_private);
			if (wait[2].revents & (POLLHUP | POLLERR))
				return; /* QEMU is on its way out */
		}
		if (wait[0].revents && take_wakeup())
			update_by_signal();
		if (wait[1].revents)
			control_serve();
	}
}

static void *service(void *opaque)
{
	(void)opaque;
	guard_thread_is_ours();
	pthread_setname_np(pthread_self(), "cprshim");
	if (guard_role() == SHIM_SUCCESSOR) {
		successor_bring_up();
	} else {
		get_to_know();
		notify_started();
	}
	loop();
	return NULL;
}

/** service_start() - start the thread, when QEMU has done its forks; in a successor before main() */
void service_start(void)
{
	sigset_t all, before;
	pthread_t thread;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&thread, NULL, service, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!rc) {
		pthread_detach(thread);
		return;
	}
	log_error("no thread for updates: %s", strerror(rc));
	rollback_now("no thread for the update: %s", strerror(rc));
}
