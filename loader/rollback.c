/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rollback.c - back to the old binary; see rollback.h. */
#include "rollback.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "../shim/guard.h"
#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "../shim/table.h"
#include "carried.h"
#include "execute.h"
#include "plaintext.h"
#include "probes.h"
#include "program.h"
#include "stdout.h"
#include "vm.h"

static struct execution back = { .holder_pipe = -1, .holder_wait = -1 };
/* One step decides between the way back and the commit, whichever thread is first. */
enum { UNARMED, ARMED, GOING, COMMITTED };
static atomic_int phase = UNARMED;
static int stderr_memfd = -1, stderr_real = -1;
static struct sigaction before[65];
static bool spawned; /* this process was not the VM's before */

static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS, SIGXFSZ };

/**
 * rollback_capture_stderr() - keep what QEMU prints while it comes up
 *
 * It says why QEMU gave up, if it does; so it is kept in memory until the outcome is known.
 */
void rollback_capture_stderr(void)
{
	stderr_real = slots_park(STDERR_FILENO);
	stderr_memfd = slots_memfd("cprshim-stderr");
	if (stderr_real < 0 || stderr_memfd < 0) {
		stderr_real = slots_close(stderr_real);
		stderr_memfd = slots_close(stderr_memfd);
		return;
	}
	/* Messages of ours go where they always go. */
	if (log_descriptor() == STDERR_FILENO)
		log_setup_descriptor(stderr_real);
	real(fcntl)(stderr_memfd, F_SETFL, O_APPEND);
	real(dup2)(stderr_memfd, STDERR_FILENO);
}

/* Copies what was kept to the real stderr, and its last line to @last. Async-signal-safe. */
static void flush_stderr(char *last, size_t size)
{
	char buf[4096];
	off_t at = 0;
	ssize_t n, end = 0;

	last[0] = '\0';
	if (stderr_memfd < 0)
		return;
	while ((n = pread(stderr_memfd, buf, sizeof(buf) - 1, at)) > 0) {
		at += n;
		end = n;
		while (write(stderr_real, buf, (size_t)n) < 0 && errno == EINTR)
			;
	}
	buf[end] = '\0';
	while (end && buf[end - 1] == '\n')
		buf[--end] = '\0';
	const char *line = strrchr(buf, '\n');
	line = line ? line + 1 : buf;
	size_t len = strlen(line);
	if (len >= size)
		len = size - 1;
	memcpy(last, line, len);
	last[len] = '\0';
}

static void release_stderr(void)
{
	char last[2];

	if (stderr_memfd < 0 || stderr_real < 0)
		return;
	real(dup2)(stderr_real, STDERR_FILENO);
	table_refresh(STDERR_FILENO);
	flush_stderr(last, sizeof(last));
	if (log_descriptor() == stderr_real)
		log_setup_descriptor(STDERR_FILENO);
	stderr_memfd = slots_close(stderr_memfd);
	stderr_real = slots_close(stderr_real);
}

/**
 * rollback_release_output() - the outcome is known: give QEMU its stdout and stderr back, with what it wrote meanwhile
 *
 * On any thread: QEMU may exit as soon as the guest runs.
 */
void rollback_release_output(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	release_stderr();
	stdout_release();
	pthread_mutex_unlock(&lock);
}

static bool is_way_back(void)
{
	return vm.journal->attempt > 1;
}

/** rollback_which() - "new" or "old": which QEMU this is, for sentences about it */
const char *rollback_which(void)
{
	return is_way_back() ? "old" : "new";
}

/* Writes the reason and puts stderr back. Async-signal-safe. */
static void note(const char *what)
{
	char *reason = is_way_back() ? vm.journal->trouble : vm.journal->reason;
	char last[512];

	flush_stderr(last, sizeof(last));
	reason[0] = '\0';
	plaintext_add(reason, JOURNAL_REASON, what);
	if (last[0]) {
		plaintext_add(reason, JOURNAL_REASON, ": ");
		plaintext_add(reason, JOURNAL_REASON, last);
	}
	if (stderr_real >= 0)
		real(dup2)(stderr_real, STDERR_FILENO);
	stdout_give_back();
}

/* The first one to give up leads back; whoever else comes here meanwhile waits for the end of this program. */
static bool begin(void)
{
	int was = ARMED;

	/* A way back that nobody would begin anew: there is nowhere else to go. */
	if (atomic_load(&phase) == ARMED && is_way_back() && !guardian_lives())
		return false;
	if (atomic_compare_exchange_strong(&phase, &was, GOING))
		return true;
	while (was == GOING)
		pause();
	return false;
}

static void give_up(void)
{
	const char *why = strerrordesc_np(errno);
	const char *then = guardian_lives() ? "\n" : ": the guest is lost\n";
	char text[256] = "cprshim: the old QEMU could not be started again: ";

	plaintext_add(text, sizeof(text), why ? why : "");
	plaintext_add(text, sizeof(text), then);
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		errno = 0;
	real(_exit)(1);
}

static void exec_on_this_thread(void)
{
	PROBE1(back, vm.journal->reason);
	/* Where it began beside the guest, the other one still has it; or a guardian starts this one again. */
	if (spawned || is_way_back())
		real(_exit)(1);
	if (syscall(SYS_gettid) == syscall(SYS_getpid)) {
		execute_here(&back);
	} else {
		errno = -execute(&back);
	}
	give_up();
}

/** rollback_on_exit() - for the hooks of exit() and abort(): goes back if the guest does not run yet, else returns */
void rollback_on_exit(const char *how, int status)
{
	char what[128];

	if (!begin())
		return;
	snprintf(what, sizeof(what), "the %s QEMU called %s(%d) before it ran the guest", rollback_which(), how,
		 status);
	note(what);
	exec_on_this_thread();
}

/** rollback_now() - go back, from the service thread; returns only where that is not possible any more */
void rollback_now(const char *format, ...)
{
	char what[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(what, sizeof(what), format, ap);
	va_end(ap);
	log_error("%s", what);
	if (!begin())
		return;
	note(what);
	exec_on_this_thread();
}

static void on_fatal(int signal)
{
	char what[64] = "the ";

	if (!begin()) {
		struct sigaction act = { .sa_handler = SIG_DFL };

		/* Not ours to handle any more: let it take its course. */
		sigaction(signal, &act, NULL);
		return;
	}
	plaintext_add(what, sizeof(what), rollback_which());
	plaintext_add(what, sizeof(what), " QEMU was ended by signal ");
	plaintext_add(what, sizeof(what), signal < 10 ? "0" : "");
	plaintext_add_number(what, sizeof(what), (uint64_t)signal);
	note(what);
	exec_on_this_thread();
}

static void catch_fatal(void)
{
	static char stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction act = { .sa_handler = on_fatal, .sa_flags = SA_ONSTACK };
	sigset_t mine;

	sigaltstack(&alternate, NULL);
	sigemptyset(&mine);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		sigaction(fatal[i], &act, &before[fatal[i]]);
		sigaddset(&mine, fatal[i]);
	}
	/* A fault while its signal is blocked kills without a handler. */
	sigprocmask(SIG_UNBLOCK, &mine, NULL);
}

static int prepare_back(const struct cprstate *state, int state_fd)
{
	static struct vm_binary old;
	static char variable[32];
	const struct cpr_binary *b = &state->binary[0];
	old.fd = b->fd;
	snprintf(old.path, sizeof(old.path), "%s", b->path);
	snprintf(old.module_dir, sizeof(old.module_dir), "%s", b->module_dir);
	snprintf(old.firmware_dir, sizeof(old.firmware_dir), "%s", b->firmware_dir);
	snprintf(old.preload, sizeof(old.preload), "%s", b->preload);
	snprintf(variable, sizeof(variable), "CPRSHIM_STATE=%d", state_fd);
	int rc = start_adopt(&old.start, state, CPR_START_OLD);
	if (!rc)
		rc = program_make(&back.program, &old, variable);
	carried_keep(&back, state);
	execute_keep(&back, state_fd);
	back.guardian = GUARDIAN_NONE; /* the first one still watches */
	/* Without a holder the way back only takes longer. */
	if (execute_pipe(&back))
		back.holder_wait = back.holder_pipe = -1;
	return rc;
}

/**
 * rollback_arm() - prepare the way back
 * @state:    the CPR state
 * @state_fd: its memfd
 *
 * Before main(), so that nothing needs to be allocated later. Where this is the way back already, what fails ends the
 * program with its reason noted, and the guardian begins anew.
 *
 * Return: 0 or a negative errno.
 */
int rollback_arm(const struct cprstate *state, int state_fd)
{
	spawned = guard_is_beside();
	int rc = spawned || is_way_back() ? 0 : prepare_back(state, state_fd);

	if (rc)
		return rc;
	catch_fatal();
	atomic_store(&phase, ARMED);
	return 0;
}

/**
 * rollback_commit() - set the commit mark: there is no way back from now on
 *
 * Does not return where another thread is on the way back already.
 */
void rollback_commit(void)
{
	uint32_t none = JOURNAL_OPEN;
	int was = ARMED;

	PROBE(commit);
	atomic_compare_exchange_strong(&phase, &was, COMMITTED);
	while (was == GOING)
		pause();
	/* Beside the VM: it may have given us up this very moment. */
	if (!__atomic_compare_exchange_n(&vm.journal->committed, &none, JOURNAL_COMMITTED, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		real(_exit)(1);
}

/** rollback_uncommit() - the guest is known not to have run: the way back is open again */
void rollback_uncommit(void)
{
	int was = COMMITTED;

	vm.journal->committed = JOURNAL_OPEN;
	atomic_compare_exchange_strong(&phase, &was, ARMED);
}

/** rollback_disarm() - after the commit: let go of what the way back needed */
void rollback_disarm(void)
{
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		struct sigaction now;

		/* QEMU has a handler of its own for some. */
		if (!sigaction(fatal[i], NULL, &now) && now.sa_handler == on_fatal)
			sigaction(fatal[i], &before[fatal[i]], NULL);
	}
	slots_close(back.holder_pipe);
	slots_close(back.holder_wait);
}
