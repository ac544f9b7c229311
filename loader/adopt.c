/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* adopt.c - in a successor, before main(): take over what the old program left. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../shim/fdsets.h"
#include "../shim/guard.h"
#include "../shim/inspect.h"
#include "../shim/log.h"
#include "../shim/moved.h"
#include "../shim/preserved.h"
#include "../shim/raw.h"
#include "../shim/real.h"
#include "../shim/settings.h"
#include "../shim/slots.h"
#include "../shim/table.h"
#include "../shim/tty.h"
#include "accept.h"
#include "argv.h"
#include "beside.h"
#include "carried.h"
#include "changes.h"
#include "cmdline.h"
#include "control.h"
#include "fault.h"
#include "first.h"
#include "guardian.h"
#include "looks.h"
#include "made.h"
#include "nbddisks.h"
#include "newpid.h"
#include "optvalue.h"
#include "parcel.h"
#include "partners.h"
#include "program.h"
#include "rollback.h"
#include "service.h"
#include "stdout.h"
#include "strays.h"
#include "successor.h"
#include "telnets.h"
#include "vm.h"

static void adopt_slot(int fd)
{
	if (fd < 0)
		return;
	real(fcntl)(fd, F_SETFD, FD_CLOEXEC);
	slots_adopt(fd);
}

static void adopt_slots(const struct cprstate *state, int state_fd)
{
	const struct cpr_shim *shim = &state->shim[0];
	const int ours[] = { state_fd,		 shim->library_fd,    shim->cwd_fd,
			     shim->journal_fd,	 shim->control_fd,    shim->requester_fd,
			     shim->holder_fd,	 state->stream[0].fd, state->binary[0].fd,
			     state->binary[1].fd };

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		adopt_slot(ours[i]);
	for (uint32_t i = 0; i < state->ram_count; i++)
		adopt_slot(state->ram[i].fd);
	for (uint32_t i = 0; i < state->fd_count; i++)
		adopt_slot(state->fd[i].fd);
	for (uint32_t i = 0; i < state->fdset_count; i++)
		adopt_slot(state->fdset[i].fd);
	for (uint32_t i = 0; i < state->fdname_count; i++)
		adopt_slot(state->fdname[i].fd);
	for (uint32_t i = 0; i < state->nbd_count; i++)
		adopt_slot(state->nbd[i].fd);
	for (uint32_t i = 0; i < state->pin_count; i++)
		adopt_slot(state->pin[i].fd);
}

static char **strings(size_t count, const char *(*get)(const struct cprstate *state, size_t i),
		      const struct cprstate *state)
{
	char **out = calloc(count + 1, sizeof(*out));

	for (size_t i = 0; out && i < count; i++)
		out[i] = (char *)get(state, i);
	return out;
}

static const char *get_arg(const struct cprstate *state, size_t i)
{
	return state->arg[i].text;
}

static const char *get_env(const struct cprstate *state, size_t i)
{
	return state->env[i].text;
}

static void adopt_binary(const struct cpr_binary *b)
{
	vm.binary.fd = b->fd;
	snprintf(vm.binary.path, sizeof(vm.binary.path), "%s", b->path);
	snprintf(vm.binary.version, sizeof(vm.binary.version), "%s", b->version);
	snprintf(vm.binary.package, sizeof(vm.binary.package), "%s", b->package);
	snprintf(vm.binary.module_dir, sizeof(vm.binary.module_dir), "%s", b->module_dir);
	snprintf(vm.binary.firmware_dir, sizeof(vm.binary.firmware_dir), "%s", b->firmware_dir);
	snprintf(vm.binary.preload, sizeof(vm.binary.preload), "%s", b->preload);
}

static void adopt_vm(struct cprstate *state)
{
	const struct cpr_vm *rec = &state->vm[0];

	vm.cpr_state = state;
	vm.argv = strings(state->arg_count, get_arg, state);
	vm.envp = strings(state->env_count, get_env, state);
	vm.library_fd = state->shim[0].library_fd;
	vm.cwd_fd = state->shim[0].cwd_fd;
	vm.start_time = vm_start_time();
	vm.daemonized = rec->daemonized;
	vm.signal_mask = rec->signal_mask;
	snprintf(vm.own_path, sizeof(vm.own_path), "%s", state->shim[0].own_path);
	snprintf(vm.configured, sizeof(vm.configured), "%s", rec->configured);
	snprintf(vm.machine, sizeof(vm.machine), "%s", rec->machine);
	snprintf(vm.name, sizeof(vm.name), "%s", rec->name);
	snprintf(vm.asked_by, sizeof(vm.asked_by), "%s", state->origin[0].asked_by);
	snprintf(vm.vmgenid, sizeof(vm.vmgenid), "%s", rec->vmgenid);
	vm.history = json_array();
	for (uint32_t i = 0; i < state->history_count; i++)
		json_array_append_new(vm.history, json_loads(state->history[i].json, 0, NULL));
	if (state->entities_count)
		vm.entities = strdup(state->entities[0].text);
}

/* What QEMU was given by number, it finds under that number: at once, since it may never ask for it. */
static int place_by_number(struct preserved *p)
{
	switch (p->kind) {
	case FDKIND_LISTENER:
	case FDKIND_TAP:
	case FDKIND_CONNECTION:
	case FDKIND_SOCKET:
	case FDKIND_STDIO:
		/* The number is free but for 0 to 2; dup3() in decoy_place() takes it either way. */
		p->taken = true;
		return decoy_place(&p->decoy, p->kind, p->number, p->fd);
	default:
		p->taken = true;
		return real(dup2)(p->fd, p->number) < 0 ? -errno : 0;
	}
}

/* A helper's tap has no name to ask for: cmdline_for_successor() names its number. */
static bool is_helpers_tap(const struct preserved *p)
{
	return p->kind == FDKIND_TAP && !strcmp(p->name, TABLE_BRIDGE_HELPER);
}

static int adopt_descriptor(const struct cpr_fd *rec)
{
	struct preserved *p = preserved_add();

	if (!p || rec->addr.len > sizeof(p->addr))
		return -E2BIG;
	/* It keeps its place: clients tell their listeners by that. */
	if (strays_made_again(rec)) {
		p->taken = true;
		slots_close(rec->fd);
		return 0;
	}
	p->kind = (enum fdkind)rec->kind;
	p->number = rec->number;
	p->fd = rec->fd;
	p->parent = rec->parent;
	p->open_flags = rec->open_flags;
	p->inherited = rec->inherited;
	p->name = rec->name;
	p->decoy.packets =
		*rec->name && (p->kind == FDKIND_CONNECTION || p->kind == FDKIND_CLIENT) && !decoy_is_datagram(p->fd);
	p->addr_len = rec->addr.len;
	if (rec->addr.len)
		memcpy(&p->addr, rec->addr.data, rec->addr.len);
	p->protocol = (int)rec->protocol;
	p->negotiated = rec->negotiated;
	p->oob = rec->oob;
	p->partial = rec->partial.data;
	p->partial_len = rec->partial.len;
	p->residue = rec->residue.data;
	p->residue_len = rec->residue.len;
	if (!rec->inherited && p->kind != FDKIND_STDIO && !is_helpers_tap(p))
		return 0;
	int rc = place_by_number(p);
	if (!rc && rec->inherited)
		table_note_inherited(p->number);
	else if (!rc && is_helpers_tap(p))
		table_note_text(p->number, p->kind, HOOK_recvmsg, p->name);
	return rc;
}

static int adopt_fdsets(const struct cprstate *state)
{
	for (uint32_t i = 0; i < state->fdset_count; i++) {
		const struct cpr_fdset *rec = &state->fdset[i];

		/* Without close-on-exec, as what is inherited: QEMU takes nothing else (softmmu/vl.c:parse_add_fd). */
		if (!fdsets_give(rec->number))
			return -E2BIG;
		if (real(dup2)(rec->fd, rec->number) < 0)
			return -errno;
		table_note_inherited(rec->number);
	}
	return 0;
}

static void free_arguments(char **arguments, uint32_t sets)
{
	for (uint32_t i = 0; arguments && i < sets; i++)
		free(arguments[2 * i + 1]);
	free(arguments);
}

/* The -add-fd arguments that make the sets anew. */
static char **fdset_arguments(const struct cprstate *state)
{
	char **out = calloc(2 * state->fdset_count + 1, sizeof(*out));

	for (uint32_t i = 0; out && i < state->fdset_count; i++) {
		const struct cpr_fdset *rec = &state->fdset[i];
		char *opaque = optvalue_escape(rec->opaque);

		out[2 * i] = (char *)"-add-fd";
		if (!opaque || asprintf(&out[2 * i + 1], "fd=%d,set=%" PRIu64 "%s%s", rec->number, rec->set,
					*opaque ? ",opaque=" : "", opaque) < 0) {
			free(opaque);
			free_arguments(out, i);
			return NULL;
		}
		free(opaque);
	}
	return out;
}

static int adopt_descriptors(const struct cprstate *state)
{
	for (uint32_t i = 0; i < state->fd_count; i++) {
		int rc = adopt_descriptor(&state->fd[i]);

		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < state->pin_count; i++) {
		const struct cpr_pin *p = &state->pin[i];
		int rc = p->kind == CPR_PIN_IMAGE ? moved_adopt(p->path, p->fd) : 0;

		if (rc)
			return rc;
	}
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (vm_is_standard(fd))
			table_note_inherited(fd);
	for (uint32_t i = 0; i < state->termios_count; i++) {
		struct termios term;

		if (state->termios[i].number > 2 || state->termios[i].settings.len != sizeof(term))
			continue;
		memcpy(&term, state->termios[i].settings.data, sizeof(term));
		tty_restore_memory((int)state->termios[i].number, &term);
	}
	return 0;
}

/* What has happened to the update so far is in the journal, which the old program has begun. */
static void open_journal(const struct cprstate *state)
{
	int rc = vm_map_journal(state->shim[0].journal_fd);

	if (rc || vm.journal->committed) {
		log_error("the journal of the update cannot be used: %s",
			  rc ? strerror(-rc) : "the guest has run since");
		real(_exit)(1);
	}
	/* The guardian's is the way back, however far the new program had come. */
	bool way_back = vm.journal->guardian || vm.journal->attempt;
	vm.journal->attempt = way_back ? 2 : 1;
	/* The guardian has counted its own. */
	vm.journal->tries += way_back && !vm.journal->guardian;
	fault_at("entry");
	vm_mark(JOURNAL_STARTED);
}

/* From here on a failure leads back; on the way back already, to its guardian. */
static void arm(const struct cprstate *state, int state_fd)
{
	service_catch_signal();
	first_lifecycle();
	stdout_hold();
	if (vm.journal->attempt > 1 && !guardian_lives())
		return;
	rollback_capture_stderr();
	int rc = rollback_arm(state, state_fd);
	if (rc)
		log_error("there is no way back from this update: %s", strerror(-rc));
}

/* Numbers of the taps that bridge helpers made, in the order in which they were asked to, and -1. */
static const int *helper_taps(void)
{
	static int numbers[PRESERVED_MAX + 1];
	size_t n = 0;

	for (size_t i = 0; i < preserved_count(); i++)
		if (is_helpers_tap(preserved_at(i)))
			numbers[n++] = preserved_at(i)->number;
	numbers[n] = -1;
	return numbers;
}

/*
 * How this QEMU was started, so that it can be started again. A command may have led to it: only here does it show what
 * that started, and in which environment.
 */
static int adopt_start(const struct cprstate *state, char **exec_argv, size_t own)
{
	struct vm_binary self;
	struct start configured;
	int rc = start_adopt(&configured, state, CPR_START_CONFIGURED);

	vm.configured_argv = configured.argv;
	if (vm.journal->attempt > 1)
		return rc ? rc : start_adopt(&vm.binary.start, state, CPR_START_OLD);
	if (vm.binary.fd >= 0)
		return rc;
	rc = start_open_self(&self);
	if (!rc)
		rc = start_learn(&vm.binary.start, exec_argv, own);
	vm.binary.fd = self.fd;
	strcpy(vm.binary.path, self.path);
	snprintf(vm.binary.module_dir, sizeof(vm.binary.module_dir), "%s", settings_modules(self.module_dir));
	vm.binary.start.envp = settings_started_in(vm.envp);
	return rc;
}

/* What the old program knows and this one cannot. */
static int adopt_more(const struct cprstate *state)
{
	struct start more;
	int rc = start_adopt(&more, state, CPR_START_NEW);

	return rc || !more.argv || vm.journal->attempt > 1 ? rc : start_add(&vm.binary.start, vm.argv[0], more.argv);
}

/* The user's arguments, and before them what a command has added to them. */
static char **all_arguments(void)
{
	char *const name[] = { vm.argv[0], NULL };
	char **head = argv_with(name, (const char *const *)start_added(&vm.binary.start));
	char **all = head ? argv_with(head, (const char *const *)vm.argv + 1) : NULL;

	free(head);
	return all;
}

/* The surroundings that QEMU was first started in, and the arguments that it gets. */
static char **prepare_main(const struct cprstate *state)
{
	char **all = all_arguments(), **more = fdset_arguments(state);

	if (vm.cwd_fd >= 0 && fchdir(vm.cwd_fd))
		log_warn("the first working directory is gone: relative paths may not be found");
	umask((mode_t)state->vm[0].umask);
	settings_hide(vm.own_path, vm.envp, vm.binary.module_dir);
	struct cmdline_successor what = {
		.machine = vm.machine,
		.vmgenid = vm.vmgenid,
		.readconfig = service_prepare_monitor(),
		.firmware_dir = vm.binary.firmware_dir,
		.more = more,
		.helper_taps = helper_taps(),
		.beside = guard_is_beside(),
		.fresh = state->transfer_count && state->transfer[0].how == CPR_TRANSFER_RECEIVED,
		.rehearsal = guard_rehearses(),
	};
	char **argv = all ? made_without(all, changes_is_removed, changes_has_value) : NULL;
	char **out = argv && what.readconfig && more ? cmdline_for_successor(argv, &what) : NULL;
	if (!out)
		free_arguments(more, state->fdset_count);
	free(argv);
	free(all);
	return out;
}

/* What fails here fails before the way back is armed: the guardian has it. */
static void take_parcel(const struct cprstate *state, int state_fd)
{
	static struct execution wanted;
	const int direct[] = { state->shim[0].library_fd, state_fd };

	if (!state->parcel_count)
		return;
	carried_keep(&wanted, state);
	execute_keep(&wanted, state_fd);
	int rc = parcel_take(&wanted, state->parcel[0].fd, direct);
	if (!rc)
		return;
	log_error("descriptors were lost on their way through the command: %s", strerror(-rc));
	real(_exit)(1);
}

/* The table, and what will be QEMU's again. */
static int adopt_records(struct cprstate *state, bool way_back)
{
	int rc = table_setup(vm.generation);

	if (!rc)
		rc = strays_sort(state);
	if (!rc)
		rc = adopt_descriptors(state);
	if (!rc)
		rc = adopt_fdsets(state);
	if (!rc && guard_rehearses())
		rc = partners_rehearse();
	if (!rc && way_back)
		rc = partners_settle(state);
	if (!rc && way_back)
		rc = nbddisks_adopt(state);
	if (!rc)
		rc = telnets_adopt(state);
	if (!rc)
		rc = changes_adopt(state);
	if (!rc)
		table_arm(); /* -daemonize has been done: no fork of the VM's own is to come */
	return rc;
}

/**
 * successor_adopt() - take over
 * @state_fd:  descriptor of the CPR state
 * @exec_argv: the arguments that the kernel gave us
 *
 * Return: the arguments for QEMU's main(), or NULL where there is no state of ours there: the environment says what it likes.
 */
char **successor_adopt(int state_fd, char **exec_argv)
{
	const char *why;
	struct cprstate *state = accept_state(state_fd, &why);

	if (!state) {
		log_error("the CPR state on descriptor %d is not used: %s", state_fd, why);
		return NULL;
	}
	guard_own();
	vm_note_standard();
	slots_setup();
	first_log();
	take_parcel(state, state_fd);
	adopt_slots(state, state_fd);
	adopt_vm(state);
	guard_set_role(SHIM_SUCCESSOR);
	if (state->rehearsal_count || state->transfer_count)
		beside_arrive(state);
	open_journal(state);
	bool way_back = vm.journal->attempt > 1;
	if (way_back && vm.journal->back_pipe > 0)
		real(close)(vm.journal->back_pipe);
	adopt_binary(&state->binary[way_back ? 0 : 1]);
	vm.generation = way_back ? state->vm[0].generation - 1 : state->vm[0].generation;
	arm(state, state_fd);
	fault_at("adopt");
	int rc = adopt_records(state, way_back);
	if (rc)
		rollback_now("the %s program could not take over: %s", rollback_which(), strerror(-rc));
	control_adopt(state->shim[0].control_fd, state->shim[0].socket_path, state->shim[0].requester_fd);
	if (vm.journal->guardian)
		newpid_take(state);
	size_t own, shown;
	if (!program_find_args(exec_argv, &own, &shown))
		rollback_now("the command did not give QEMU its own arguments, unchanged and last");
	rc = adopt_start(state, exec_argv, own);
	if (!rc)
		rc = adopt_more(state);
	if (rc)
		rollback_now("the %s program could not take over: %s", rollback_which(), strerror(-rc));
	looks_restore(exec_argv, shown);
	char **argv = prepare_main(state);
	if (!argv)
		rollback_now("the %s program could not take over: no memory", rollback_which());
	raw_start(vm.own_path); /* while there is one thread */
	service_start();
	fault_at("start"); /* its deadline is watched from here on */
	return argv;
}
