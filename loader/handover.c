/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* handover.c - everything the successor needs; see handover.h. */
#include "handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shim/moved.h"
#include "../shim/real.h"
#include "../shim/session.h"
#include "../shim/slots.h"
#include "../shim/tty.h"
#include "../state/stream.h"
#include "carried.h"
#include "changes.h"
#include "clock.h"
#include "control.h"
#include "fault.h"
#include "guestcpu.h"
#include "migparams.h"
#include "mux.h"
#include "namedfds.h"
#include "parcel.h"
#include "pcimap.h"
#include "pins.h"
#include "program.h"
#include "ringbufs.h"
#include "telnets.h"
#include "threads.h"

#define STATE_BYTES (8u << 20)
/* What most machines' devices have saved fits in (a virtio device has some 50 KB); else it is looked for when that is known. */
#define STREAM_BYTES (4u << 20)

static void put_vm(struct handover *h, uint64_t deadline)
{
	char *capabilities = migparams_capabilities(deadline), *parameters = migparams_parameters(deadline);
	struct cpr_vm rec = {
		.pid = (uint64_t)getpid(),
		.start_time = vm.start_time,
		.generation = vm.generation + (h->how == CPR_TRANSFER_BACK ? 0 : 1),
		.running = h->running,
		.hold = h->hold,
		.daemonized = vm.daemonized,
		.umask = (uint32_t)vm_process_status("Umask", 8),
		.signal_mask = vm.signal_mask,
		.timeout_s = h->timeout_s,
		.started_ms = h->started_ms,
		.started_ns = h->started_ns,
		.machine = vm.machine,
		.name = vm.name,
		.vmgenid = vm.vmgenid,
		.configured = vm.configured,
		.capabilities = capabilities,
		.parameters = parameters,
	};

	cprstate_put_vm(&h->w, &rec);
	free(capabilities);
	free(parameters);
}

static void put_pins(struct handover *h)
{
	for (size_t i = 0; i < pins_count(); i++) {
		const struct pin *p = pins_at(i);

		cprstate_put_pin(&h->w,
				 &(struct cpr_pin){ .kind = p->kind, .fd = p->fd, .name = p->name, .path = p->path });
	}
	for (size_t i = 0; i < moved_count(); i++)
		cprstate_put_pin(&h->w, &(struct cpr_pin){ .kind = CPR_PIN_IMAGE,
							   .fd = moved_at(i)->fd,
							   .name = "",
							   .path = moved_at(i)->path });
}

/* As the terminals were before QEMU set them. */
static void put_termios(struct handover *h)
{
	for (uint32_t fd = 0; fd < 3; fd++) {
		struct termios term;

		if (tty_original((int)fd, &term))
			cprstate_put_termios(
				&h->w, &(struct cpr_termios){ .number = fd,
							      .settings = { (const uint8_t *)&term, sizeof(term) } });
	}
}

static void put_history(struct handover *h)
{
	json_t *item;
	size_t i;

	json_array_foreach(vm.history, i, item) {
		char *text = json_dumps(item, JSON_COMPACT);

		if (text)
			cprstate_put_history(&h->w, &(struct cpr_history){ .json = text });
		free(text);
	}
	cprstate_put_entities(&h->w, &(struct cpr_entities){ .text = vm.entities });
	changes_put(&h->w);
}

/**
 * handover_begin() - an empty one
 * @h:	       zeroed
 * @timeout_s: for the successor
 */
void handover_begin(struct handover *h, unsigned int timeout_s)
{
	h->original = h->target.fd = h->requester = h->state_fd = h->stream_fd = h->parcel = h->channel = -1;
	h->stream.fd = -1;
	h->exec.holder_pipe = h->exec.holder_wait = -1;
	h->exec.guardian = GUARDIAN_NONE;
	h->timeout_s = timeout_s;
	h->started_ms = clock_real_ms();
	h->started_ns = clock_now();
}

/** handover_begin_like() - an empty one for a successor beside the VM, of what is to be handed over as another one says */
void handover_begin_like(struct handover *h, const struct handover *of)
{
	handover_begin(h, of->timeout_s);
	h->running = of->running;
	h->hold = of->hold;
	h->target = of->target;
	h->back = of->back;
	memcpy(h->blocks, of->blocks, sizeof(h->blocks));
	h->block_count = of->block_count;
	h->how = of->how;
	h->to = of->to;
	h->original = of->original;
	h->relayed = of->relayed;
	h->method_why = of->method_why;
	h->requester = of->requester;
	h->started_ms = of->started_ms;
	h->started_ns = of->started_ns;
}

/**
 * handover_prepare() - write what is known while the guest still runs
 * @h:		 filled in but for what the last fields hold
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Return: 0 or a negative errno; handover_release() ends it in any case.
 */
int handover_prepare(struct handover *h, uint64_t deadline_ns)
{
	uint8_t *buf = malloc(STATE_BYTES);

	h->state_fd = h->stream_fd = h->parcel = -1;
	if (!buf)
		return -ENOMEM;
	cprstate_begin(&h->w, buf, STATE_BYTES);
	put_vm(h, deadline_ns);
	program_put(&h->w, &h->target, &h->back);
	put_pins(h);
	put_termios(h);
	put_history(h);
	threads_save(&h->w, deadline_ns);
	return execute_pipe(&h->exec);
}

/**
 * handover_make_room() - have what handover_write() needs besides, before the guest is stopped
 *
 * Memory is touched, the file's too: a page fault takes longer than to fill the page. Where that fails it is done later.
 *
 * Return: 0 or -ENOMEM.
 */
int handover_make_room(struct handover *h)
{
	h->room = malloc(STREAM_BYTES);
	h->stream_fd = slots_memfd("cprshim-stream");
	h->state_fd = slots_memfd("cprshim-state");
	if (!h->room || h->stream_fd < 0 || h->state_fd < 0)
		return -ENOMEM;
	memset(h->room, 0, STREAM_BYTES);
	fallocate(h->stream_fd, 0, 0, STREAM_BYTES);
	return 0;
}

static void put_notes(struct handover *h, const struct plan *plan)
{
	const json_t *text;
	size_t i;

	for (i = 0; i < plan->count; i++) {
		char detail[sizeof(plan->fds[i].it.link)];

		if (plan->fds[i].action != PLAN_CLOSE)
			continue;
		plan_text(&plan->fds[i], detail, sizeof(detail));
		cprstate_put_note(&h->w,
				  &(struct cpr_note){ .closed_fd = (uint32_t)plan->fds[i].it.fd, .text = detail });
	}
	if (h->warnings->list)
		json_array_foreach(h->warnings->list, i, text)
			cprstate_put_note(&h->w, &(struct cpr_note){ .closed_fd = CPR_NOTE_WARNING,
								     .text = json_string_value(text) });
}

/**
 * handover_stream() - put the configuration and RAM sections before the saved devices, and an empty description after them
 * @h:	      which blocks there are; keeps the stream
 * @saved_fd: what QEMU has saved
 * @ret:      the stream
 *
 * Return: 0 or a negative errno.
 */
int handover_stream(struct handover *h, int saved_fd, struct cpr_stream *ret)
{
	static struct stream_block blocks[RAMBLOCK_MAX];
	size_t count = 0, prefix = 0, room = 4096 + h->block_count * (RAMBLOCK_NAME + 16);
	struct stat st;

	if (fstat(saved_fd, &st))
		return -errno;
	size_t saved_len = (size_t)st.st_size;
	for (size_t i = 0; i < h->block_count; i++)
		if (h->blocks[i].name[0])
			blocks[count++] = (struct stream_block){ h->blocks[i].name, h->blocks[i].used };
	bool fits = h->room && room + saved_len + STREAM_SUFFIX <= STREAM_BYTES;
	uint8_t *buf = fits ? h->room : malloc(room + saved_len + STREAM_SUFFIX);
	if (!buf)
		return -ENOMEM;
	uint8_t *saved = buf + room;
	int rc = stream_prefix(buf, room, vm.machine, guestcpu_page_bits(), blocks, count, &prefix);
	if (!rc && pread(saved_fd, saved, saved_len, 0) != (ssize_t)saved_len)
		rc = -EIO;
	if (!rc)
		rc = stream_check_saved(saved, saved_len);
	if (!rc) {
		/* The prefix has a header of its own. */
		uint8_t *begin = saved + STREAM_HEADER - prefix;
		size_t total = prefix + saved_len - STREAM_HEADER + STREAM_SUFFIX;

		stream_renumber(saved, saved_len, "slirp");
		memmove(begin, buf, prefix);
		stream_suffix(saved + saved_len);
		if (h->stream_fd < 0)
			h->stream_fd = slots_memfd("cprshim-stream");
		if (h->stream_fd < 0 || pwrite(h->stream_fd, begin, total, 0) != (ssize_t)total)
			rc = -EIO;
		*ret = (struct cpr_stream){ .fd = h->stream_fd, .length = total, .crc = codec_crc32c(0, begin, total) };
	}
	if (!fits)
		free(buf);
	return rc;
}

static void put_shim(struct handover *h)
{
	struct cpr_shim rec = {
		.library_fd = vm.library_fd,
		.cwd_fd = vm.cwd_fd,
		.journal_fd = vm.journal_fd,
		.control_fd = h->kind == HANDOVER_REHEARSAL ? -1 : control_listener(),
		.requester_fd = h->requester,
		.holder_fd = h->exec.holder_pipe,
		.own_path = vm.own_path,
		.socket_path = h->kind == HANDOVER_REHEARSAL ? "" : control_path(),
	};

	cprstate_put_shim(&h->w, &rec);
}

/* A command's own children get nothing of what the VM has open. */
static int put_parcel(struct handover *h)
{
	if (h->target.start.how != START_COMMAND || h->kind == HANDOVER_GIVEN)
		return 0;
	h->parcel = parcel_make();
	cprstate_put_parcel(&h->w, &(struct cpr_parcel){ .fd = h->parcel });
	return h->parcel < 0 ? h->parcel : 0;
}

/* By what the successor knows the state for its own, which nobody put under its feet. */
static int put_origin(struct handover *h)
{
	char boot_id[64];
	struct stat st;

	if (h->state_fd < 0)
		h->state_fd = slots_memfd("cprshim-state");
	if (h->state_fd < 0)
		return h->state_fd;
	if (fstat(h->state_fd, &st))
		return -errno;
	vm_boot_id(boot_id, sizeof(boot_id));
	cprstate_put_origin(&h->w,
			    &(struct cpr_origin){ .boot_id = boot_id, .inode = st.st_ino, .asked_by = vm.asked_by });
	return 0;
}

/* Read the state back as the successor will, and keep what it names. */
static int keep_named(struct handover *h)
{
	struct cprstate *state = malloc(sizeof(*state));
	const char *why = "";
	int rc = state ? cprstate_decode(state, h->w.buf, h->w.len, &why) : -ENOMEM;

	if (!rc) {
		execute_keep(&h->exec, h->state_fd);
		carried_keep(&h->exec, state);
	}
	free(state);
	return rc;
}

/* Write the state into a memfd that nobody can change any more. Whoever is given it has all that it names already. */
static int seal(struct handover *h)
{
	int rc = cprstate_end(&h->w);

	if (!rc && h->kind != HANDOVER_GIVEN)
		rc = keep_named(h);
	if (!rc && (write(h->state_fd, h->w.buf, h->w.len) != (ssize_t)h->w.len ||
		    real(fcntl)(h->state_fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)))
		rc = -EIO;
	return rc;
}

static int set_guardian(struct handover *h)
{
	struct guardian *g = &h->exec.guardian;
	int leader = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (leader < 0)
		return -errno;
	g->leader = slots_move(leader);
	g->requester = h->requester;
	g->limit = (uint64_t)h->timeout_s * 1000000000;
	snprintf(g->stat, sizeof(g->stat), "/proc/%d/stat", (int)getpid());
	return g->leader < 0 ? g->leader : program_make(&g->back, &h->back, h->variable);
}

/* The state is complete: what starts the program with it. */
static int finish(struct handover *h)
{
	int rc = put_parcel(h);

	if (!rc)
		rc = put_origin(h);
	if (!rc)
		rc = seal(h);
	if (!rc && h->parcel >= 0)
		rc = parcel_fill(&h->exec, h->parcel, (const int[]){ vm.library_fd, h->state_fd });
	snprintf(h->variable, sizeof(h->variable), "CPRSHIM_STATE=%d", h->state_fd);
	return rc || h->kind == HANDOVER_GIVEN ? rc : program_make(&h->exec.program, &h->target, h->variable);
}

/* Whose the state is, where it is not for the process that writes it. */
static void put_kind(struct handover *h)
{
	if (h->kind == HANDOVER_REHEARSAL)
		cprstate_put_rehearsal(&h->w, &(struct cpr_rehearsal){ .vm_pid = (uint64_t)getpid() });
	if (h->kind == HANDOVER_TRANSFER || h->kind == HANDOVER_GIVEN)
		cprstate_put_transfer(&h->w, &(struct cpr_transfer){ .vm_pid = (uint64_t)getpid(), .how = h->how });
	cprstate_put_choice(&h->w, &(struct cpr_choice){ .why = h->method_why });
	if (h->relayed)
		cprstate_put_relay(&h->w, &(struct cpr_relay){ .first = h->relayed });
}

/**
 * handover_write_beside() - write the state for a successor beside the VM: of all but the devices, while the guest runs
 * @h:		 filled in as for handover_prepare()
 * @f:		 what is held already
 * @plan:	 the plan
 * @deadline_ns: CLOCK_MONOTONIC
 *
 * Return: 0 or a negative errno; @h->exec is then ready but for the guardian. handover_release() ends it in any case.
 */
int handover_write_beside(struct handover *h, const struct freeze *f, const struct plan *plan, uint64_t deadline_ns)
{
	int rc = handover_prepare(h, deadline_ns);

	if (!rc)
		rc = carried_put_ram(h);
	if (!rc)
		rc = carried_put_fds(h, f, plan);
	if (!rc)
		rc = carried_put_fdsets(h, plan);
	if (!rc)
		rc = namedfds_put(h, plan);
	if (rc)
		return rc;
	cprstate_put_stream(&h->w, &(struct cpr_stream){ .fd = h->channel });
	telnets_put(&h->w, plan);
	pcimap_put(&h->w, deadline_ns);
	put_kind(h);
	put_shim(h);
	return finish(h);
}

/* All that QEMU wrote has been passed on; the other half of a packet would be lost with it. */
static int check_packets(const struct plan *plan, struct reasons *reasons)
{
	for (size_t i = 0; i < plan->count; i++) {
		const struct planned *p = &plan->fds[i];

		if (!plan_has_packets(p) || session_is_between(p->it.fd))
			continue;
		reasons_add(reasons, BLOCKER_NETWORK_PEER,
			    "network back end %s: its peer does not read, and half a packet was sent", p->netdev);
		return -EAGAIN;
	}
	return 0;
}

/* The devices, and what they are connected to: the way back begins with them anew. */
static int put_what_leads_back(struct handover *h, const struct freeze *f, const struct plan *plan)
{
	int rc = carried_put_nbd(h, plan);

	carried_put_awaited(h, plan);
	return rc ? rc : handover_stream(h, f->halt.state_fd, &h->stream);
}

/**
 * handover_write() - finish the state
 * @h:	     after handover_prepare()
 * @f:	     after freeze_collect(); for an exec after halt_save_end()
 * @plan:    the plan
 * @reasons: what went wrong
 *
 * Return: 0 or a negative errno; @h->exec is then ready.
 */
int handover_write(struct handover *h, struct freeze *f, const struct plan *plan, struct reasons *reasons)
{
	int rc = check_packets(plan, reasons);

	if (rc)
		return rc;
	rc = fault_at("handover") ? -EIO : carried_put_ram(h);
	if (!rc)
		rc = carried_put_fds(h, f, plan);
	if (!rc)
		rc = carried_put_fdsets(h, plan);
	if (!rc)
		rc = namedfds_put(h, plan);
	if (!rc && h->kind == HANDOVER_EXEC)
		rc = put_what_leads_back(h, f, plan);
	ringbufs_put(&h->w, f->halt.ringbufs);
	mux_save(&h->w, plan);
	telnets_put(&h->w, plan);
	cprstate_put_stream(&h->w, &h->stream);
	put_kind(h);
	put_shim(h);
	put_notes(h, plan);
	if (!rc)
		rc = finish(h);
	if (!rc && h->kind == HANDOVER_EXEC)
		rc = set_guardian(h);
	if (rc)
		reasons_add(reasons, BLOCKER_STATE_WRITE, "the state could not be written: %s", strerror(-rc));
	return rc;
}

/** handover_release() - the update did not come to pass */
void handover_release(struct handover *h)
{
	slots_close(h->state_fd);
	slots_close(h->stream_fd);
	slots_close(h->parcel);
	for (size_t i = 0; i < h->parked_count; i++)
		slots_close(h->parked[i]);
	slots_close(h->exec.holder_pipe);
	slots_close(h->exec.holder_wait);
	free(h->exec.program.argv);
	free(h->exec.program.envp);
	free(h->exec.guardian.back.argv);
	free(h->exec.guardian.back.envp);
	slots_close(h->exec.guardian.leader);
	free(h->w.buf);
	free(h->room);
}
