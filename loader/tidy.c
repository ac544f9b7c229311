/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tidy.c - in a successor, when the guest runs; see tidy.h. */
#include "tidy.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../shim/awaited.h"
#include "../shim/guard.h"
#include "../shim/log.h"
#include "../shim/moved.h"
#include "../shim/preserved.h"
#include "../shim/ram.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "../shim/table.h"
#include "control.h"
#include "entities.h"
#include "library.h"
#include "migparams.h"
#include "monitors.h"
#include "nbddisks.h"
#include "pins.h"
#include "qmp.h"
#include "ramblocks.h"
#include "rollback.h"
#include "vm.h"
#include "warm.h"

#define TIDY_MS 30000

/* What nothing asked for is closed, and said. */
static void close_leftovers(struct reasons *warnings)
{
	for (size_t i = 0; i < preserved_count(); i++) {
		struct preserved *p = preserved_at(i);

		if (!p->taken)
			reasons_note(warnings, "descriptor %d (%s%s%s) was not asked for by the new QEMU and is closed",
				     p->number, fdkind_text(p->kind), *p->name ? " " : "", p->name);
		decoy_done(&p->decoy);
		p->fd = slots_close(p->fd);
	}
}

static void restore_signals(void *opaque)
{
	sigset_t mask, now;

	(void)opaque;
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	sigemptyset(&mask);
	for (int signal = 1; signal <= 64; signal++)
		if (vm.signal_mask & UINT64_C(1) << (signal - 1))
			sigaddset(&mask, signal);
	/* QEMU's own: taken by signalfd (util/main-loop.c:qemu_signal_init), and SIG_IPI (qemu/osdep.h). */
	sigaddset(&mask, SIGIO);
	sigaddset(&mask, SIGALRM);
	sigaddset(&mask, SIGBUS);
	sigaddset(&mask, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	/* Lines that QEMU printed on a decoy ("char device redirected to ...") were printed at first start too. */
	__fpurge(stdout);
	if (isatty(STDOUT_FILENO))
		setvbuf(stdout, NULL, _IOLBF, 0);
}

/** tidy_release_holder() - let the old program's memory go: it takes its time, on the holder's side, while the guest runs */
void tidy_release_holder(void)
{
	/* What a command has left running may have the pipe too, and its end would not come. */
	if (write(vm.cpr_state->shim[0].holder_fd, "", 1) < 0)
		log_debug("the holder of the old memory is gone already");
	slots_close(vm.cpr_state->shim[0].holder_fd);
}

/* The guardian that has started this program is its parent. */
static void wait_for_guardian(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, vm.journal->holder[0], 0);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };

	/* Its number is its own for as long as it is that. */
	if (pidfd >= 0 && getppid() == vm.journal->holder[0])
		poll(&end, 1, TIDY_MS);
	if (pidfd >= 0)
		real(close)(pidfd);
}

/** tidy_reap_holders() - wait until the old programs' memory is gone */
void tidy_reap_holders(void)
{
	if (vm.journal->guardian)
		wait_for_guardian();
	for (int i = 0; i < 2; i++)
		while (vm.journal->holder[i] > 0 && waitpid(vm.journal->holder[i], NULL, __WALL) < 0 && errno == EINTR)
			;
}

/*
 * Memory that is to be locked is so while the guest runs already, since the kernel goes through all of it; and when the
 * old program's, which was locked as well, is gone.
 */
static void lock_memory(struct reasons *warnings)
{
	if (!ram_lock_is_due())
		return;
	tidy_reap_holders();
	int rc = ram_lock();
	if (rc)
		reasons_note(warnings, "the memory could not be locked (mem-lock): %s", strerror(-rc));
}

/**
 * tidy_up() - the guest runs: everybody gets back what was held, and what only the update needed goes
 * @warnings: what was left over
 */
void tidy_up(struct reasons *warnings)
{
	char error[QMP_ERROR_MAX], links[PATH_MAX + 32];
	uint64_t deadline = qmp_in_ms(TIDY_MS);

	if (vm.journal->tries > 1)
		reasons_note(warnings, "the old QEMU was started %u times until it ran the guest; the log says why",
			     vm.journal->tries);
	monitors_hand_over(warnings);
	qmp_do(&qmp_private, "query-status", NULL, deadline,
	       error); /* a round through every loop: none polls a decoy now */
	close_leftovers(warnings);
	moved_release();
	nbddisks_release(vm.cpr_state);
	awaited_release();
	ramblocks_release(vm.cpr_state);
	for (uint32_t i = 0; i < vm.cpr_state->fdset_count; i++)
		slots_close(vm.cpr_state->fdset[i].fd);
	for (uint32_t i = 0; i < vm.cpr_state->fdname_count; i++)
		slots_close(vm.cpr_state->fdname[i].fd);
	rollback_release_output();
	qmp_call_on_main(restore_signals, NULL, deadline);
	guard_set_role(SHIM_VMM);
	warm_end();
	/* With late-block-activate on, an ordinary migration to this VM would leave its images alone. */
	migparams_for_load(false, deadline, error);
	migparams_restore(vm.cpr_state->vm[0].capabilities, vm.cpr_state->vm[0].parameters, deadline, warnings);
	if (vm.daemonized && chdir("/"))
		log_warn("the working directory could not be set back to /");
	library_hold(warnings);
	if (vm.journal->attempt > 1) {
		/* The way back's own pins go on; those of the failed one were never taken. */
		pins_adopt(vm.cpr_state);
	} else {
		for (uint32_t i = 0; i < vm.cpr_state->pin_count; i++)
			if (vm.cpr_state->pin[i].kind != CPR_PIN_IMAGE)
				slots_close(vm.cpr_state->pin[i].fd);
		pins_take();
	}
	snprintf(links, sizeof(links), "%s", control_links_dir(getpid()));
	if (links[0] && vm.journal->attempt == 1)
		pins_remove_links(links);
	free(vm.entities);
	vm.entities = entities_query(deadline);
	vm.started_seq = table_next_seq();
	lock_memory(warnings);
}
