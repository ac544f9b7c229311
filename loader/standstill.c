/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* standstill.c - the guest stands still for a rehearsal; see standstill.h. */
#include "standstill.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/real.h"
#include "../shim/slots.h"
#include "clock.h"
#include "preflight.h"
#include "qmp.h"
#include "ramblocks.h"

#define STEP_MS 30000

/* What the successor says: that it waits for the state, and that it has loaded it. */
enum { SAYS_UP = 'U', SAYS_LOADED = 'L' };

/* What it is given, with the descriptor of the stream. */
struct offer {
	uint64_t length;
	uint32_t crc;
	uint32_t reserved;
};

/**
 * standstill_channel() - what the two talk over
 * @ret_pair: ours and the successor's, both ours for now
 *
 * Return: 0 or a negative errno; both are -1 then.
 */
int standstill_channel(int ret_pair[2])
{
	int pair[2];

	ret_pair[0] = ret_pair[1] = -1;
	if (real(socketpair)(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	for (int i = 0; i < 2; i++)
		ret_pair[i] = slots_move(pair[i]);
	if (ret_pair[0] >= 0 && ret_pair[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		ret_pair[i] = slots_close(ret_pair[i]);
	return -EMFILE;
}

static bool hears(int channel, char what, uint64_t until_ns)
{
	struct pollfd wait = { .fd = channel, .events = POLLIN };
	char said = 0;

	return poll(&wait, 1, clock_left_ms(until_ns)) == 1 && real(recv)(channel, &said, 1, MSG_DONTWAIT) == 1 &&
	       said == what;
}

/** standstill_is_up() - wait until the successor waits for the state. Return: false where it does not come so far. */
bool standstill_is_up(int channel, unsigned int seconds)
{
	return hears(channel, SAYS_UP, qmp_in_ms(seconds * 1000));
}

static int send_offer(int channel, const struct cpr_stream *stream)
{
	struct offer offer = { .length = stream->length, .crc = stream->crc };
	struct iovec iov = { .iov_base = &offer, .iov_len = sizeof(offer) };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .head = {
			      .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.space)
	};

	memcpy(CMSG_DATA(&control.head), &stream->fd, sizeof(int));
	return real(sendmsg)(channel, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(offer) ? 0 : -errno;
}

/**
 * standstill_report_up() - in the successor: tell that it waits, and wait for the state
 * @channel:	the successor's end
 * @ret_stream: the state
 *
 * The other end may take its time; it ends this process where it gives up.
 *
 * Return: 0 or a negative errno.
 */
int standstill_report_up(int channel, struct cpr_stream *ret_stream)
{
	struct offer offer;
	struct iovec iov = { .iov_base = &offer, .iov_len = sizeof(offer) };
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.space)
	};
	int fd;

	if (send(channel, &(char){ SAYS_UP }, 1, MSG_NOSIGNAL) != 1)
		return -errno;
	/* Nothing was recorded: that number is not one of QEMU's. */
	ssize_t n = real(recvmsg)(channel, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	if (n != sizeof(offer) || !head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EBADMSG;
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	*ret_stream = (struct cpr_stream){ .fd = slots_move(fd), .length = offer.length, .crc = offer.crc };
	return ret_stream->fd < 0 ? ret_stream->fd : 0;
}

/** standstill_report_loaded() - in the successor: the state has been loaded */
void standstill_report_loaded(int channel)
{
	if (send(channel, &(char){ SAYS_LOADED }, 1, MSG_NOSIGNAL) < 0)
		errno = 0;
}

/* From here on nobody but us moves the guest, and what the check has found is still so. */
static bool hold(struct freeze *f, struct handover *h, struct plan *plan, uint64_t deadline, struct reasons *reasons)
{
	int rc = freeze_gates(f, plan, deadline);

	if (!rc) {
		plan_free(plan);
		rc = preflight_plan(plan, deadline, reasons);
	}
	if (!rc)
		rc = freeze_inputs(f, plan, deadline);
	if (rc) {
		reasons_add(reasons, BLOCKER_INPUTS_HELD, "the guest's inputs could not be held: %s", strerror(-rc));
		return false;
	}
	plan_free(plan);
	preflight_vm(plan, &h->running, reasons);
	return !reasons_any(reasons) && !ramblocks_query(h->blocks, &h->block_count, deadline, reasons);
}

static bool load(struct handover *h, const struct freeze *f, int channel, uint64_t until, unsigned int max_ms,
		 struct reasons *reasons)
{
	struct cpr_stream stream;
	int rc = handover_stream(h, f->state_fd, &stream);

	if (!rc)
		rc = send_offer(channel, &stream);
	if (rc) {
		reasons_add(reasons, BLOCKER_STATE_WRITE, "the state could not be written: %s", strerror(-rc));
		return false;
	}
	if (hears(channel, SAYS_LOADED, until))
		return true;
	if (clock_now() >= until)
		reasons_add(reasons, BLOCKER_BLACKOUT_TOO_LONG,
			    "rehearsed: the new QEMU had not loaded the state when the guest had stood still for %u ms",
			    max_ms);
	return false;
}

static double ms_between(enum journal_moment from, enum journal_moment to)
{
	const uint64_t *m = vm.journal->moment;

	return m[from] && m[to] > m[from] ? (double)(m[to] - m[from]) / 1e6 : 0;
}

/**
 * standstill_try() - have the successor load the state of the guest's devices
 * @h:	      its handover; blocks and run state are brought up to date
 * @plan:     is made again
 * @channel:  our end
 * @pid:      the successor, which is killed before the guest goes on where it has not loaded the state
 * @max_ms:   how long the guest may stand still: the load is given up then
 * @ret:      what it took
 * @reasons:  what went wrong; what the successor itself has to say is in the journal
 *
 * Return: true where it was loaded.
 */
bool standstill_try(struct handover *h, struct plan *plan, int channel, pid_t pid, unsigned int max_ms,
		    struct measured *ret, struct reasons *reasons)
{
	struct freeze *f = calloc(1, sizeof(*f));
	uint64_t deadline = qmp_in_ms(STEP_MS);
	bool loaded = false;

	if (!f)
		return false;
	f->state_fd = -1;
	f->keeps_images = true;
	preflight_flush(plan, reasons);
	if (!reasons_any(reasons) && hold(f, h, plan, deadline, reasons)) {
		uint64_t until = qmp_in_ms(max_ms);

		loaded = !freeze_stop(f, h->running, deadline, reasons) && !freeze_save(f, deadline, reasons) &&
			 load(h, f, channel, until, max_ms, reasons);
	}
	if (!loaded)
		kill(pid, SIGKILL);
	freeze_undo(f, h->running);
	ret->stop = ms_between(JOURNAL_STOPPING, JOURNAL_STOPPED);
	ret->save = ms_between(JOURNAL_STOPPED, JOURNAL_SAVED);
	ret->load = ms_between(JOURNAL_REMAPPED, JOURNAL_LOADED);
	if (h->running && vm.journal->moment[JOURNAL_STOPPING])
		ret->standstill = ms_between(JOURNAL_STOPPING, JOURNAL_RUNNING);
	free(f);
	return loaded;
}
