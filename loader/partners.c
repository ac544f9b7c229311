/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * partners.c - devices of which the other half is in another process; see partners.h.
 *
 * A vhost-user back end is left and connected to anew. "stop" has the back end stop its rings and say where they are
 * (hw/virtio/vhost.c:vhost_dev_stop); a back end that is left ends what it has begun, in the guest's memory that it
 * still maps (util/vhost-user-server.c:vu_client_trip), before it takes its next client; and that one, the new QEMU,
 * negotiates everything anew and sends it the guest's memory when the rings start again, at "cont". Were the connection
 * kept, the back end's map of the memory would have to be taken apart by us, with requests under way in it.
 *
 * So the back end must take a second client, or the guest would have no disk in the new QEMU nor on the way back: that
 * is known of the ones named here, and for others "reconnect" says it.
 */
#include "partners.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../shim/awaited.h"
#include "../shim/log.h"
#include "../shim/preserved.h"
#include "../shim/real.h"
#include "../shim/session.h"
#include "../shim/tpmstand.h"
#include "../shim/tpmsync.h"
#include "argv.h"
#include "optvalue.h"
#include "qmp.h"
#include "vm.h"

#define COMM_SIZE 16

/* Programs that are known to take one client after the other. */
static const char *const returning[] = { "qemu-storage-daemon" };

/*
 * Name of the program at a socket's other end, as the kernel keeps it for anybody to see (proc(5), comm: 15 bytes), or
 * "" where that is not known: it may be in a namespace of its own.
 */
static void peer_program(int fd, char ret[COMM_SIZE])
{
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof(peer);
	char path[64];

	ret[0] = '\0';
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.pid <= 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)peer.pid);
	int comm = real(open)(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = comm < 0 ? 0 : read(comm, ret, COMM_SIZE - 1);
	if (comm >= 0)
		real(close)(comm);
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

/* Does the command line have QEMU connect to this path again whenever the connection ends? */
static bool reconnects(const char *path)
{
	const char *text;
	char value[PATH_MAX];

	for (size_t n = 0; (text = argv_value(vm.argv, "chardev", n)); n++) {
		if (!optvalue_get(text, "path", value, sizeof(value)) || strcmp(value, path) != 0)
			continue;
		if ((optvalue_get(text, "reconnect", value, sizeof(value)) ||
		     optvalue_get(text, "reconnect-ms", value, sizeof(value))) &&
		    strtoul(value, NULL, 10))
			return true;
	}
	return false;
}

static bool is_known_to_return(int fd)
{
	char program[COMM_SIZE];

	peer_program(fd, program);
	for (size_t i = 0; i < sizeof(returning) / sizeof(returning[0]); i++)
		if (!strncmp(program, returning[i], COMM_SIZE - 1))
			return true;
	return false;
}

/* The path that QEMU connected to, or "" where it is none. */
static void path_of(const struct inspected *it, char ret[sizeof(((struct sockaddr_un *)0)->sun_path) + 1])
{
	struct sockaddr_un addr = { .sun_family = AF_UNSPEC };

	memcpy(&addr, it->rec.detail, it->rec.detail_len < sizeof(addr) ? it->rec.detail_len : sizeof(addr));
	ret[0] = '\0';
	if (it->rec.detail_type == FDDETAIL_ADDR && addr.sun_family == AF_UNIX)
		snprintf(ret, sizeof(addr.sun_path) + 1, "%.*s", (int)sizeof(addr.sun_path), addr.sun_path);
}

/* Only what QEMU connected to by a path, and will again. */
static bool was_connected(const struct planned *p, const char *path)
{
	return p->it.kind == FDKIND_CONNECTION && !(p->it.rec.flags & FDREC_INHERITED) && *path;
}

static void plan_vhost_user(struct planned *p, struct reasons *blockers)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	struct stat st;

	path_of(&p->it, path);
	p->partner = true;
	p->action = PLAN_CLOSE;
	if (!was_connected(p, path)) {
		reasons_add(blockers, BLOCKER_VHOST_USER,
			    "descriptor %d: a vhost-user back end that QEMU did not connect to by a path", p->it.fd);
		p->action = PLAN_BLOCK;
	} else if (fstatat(vm.cwd_fd, path, &st, 0) || !S_ISSOCK(st.st_mode)) {
		reasons_add(blockers, BLOCKER_VHOST_USER_LOST,
			    "the socket %s of a vhost-user back end is gone: a new QEMU could not connect", path);
	} else if (!is_known_to_return(p->it.fd) && !reconnects(path)) {
		reasons_add(blockers, BLOCKER_VHOST_USER_RETURN,
			    "the vhost-user back end at %s is not known to take another client when this one leaves",
			    path);
	}
}

/* A device's back end must be there, and its connection one that was found. */
static size_t count_vhost_user(const char *parent, const json_t *chardevs, uint64_t deadline, struct reasons *blockers)
{
	char error[QMP_ERROR_MAX], path[512];
	json_t *list = qmp_command(&qmp_private, "qom-list", json_pack("{s:s}", "path", parent), deadline, error);
	const json_t *item, *dev;
	size_t i, j, count = 0;

	json_array_foreach(list, i, item) {
		const char *type = json_string_value(json_object_get(item, "type"));

		if (!type || strncmp(type, "child<vhost-user-blk", 20) != 0)
			continue;
		count++;
		snprintf(path, sizeof(path), "%s/%s", parent, json_string_value(json_object_get(item, "name")));
		json_t *label =
			qmp_command(&qmp_private, "qom-get",
				    json_pack("{s:s, s:s}", "path", path, "property", "chardev"), deadline, error);
		json_array_foreach(chardevs, j, dev) {
			const char *name = json_string_value(json_object_get(dev, "filename"));

			if (!json_equal(json_object_get(dev, "label"), label) || !name ||
			    strncmp(name, "disconnected:", 13) != 0)
				continue;
			reasons_add(blockers, BLOCKER_VHOST_USER_LOST,
				    "%s has lost its vhost-user back end (character device %s)", path,
				    json_string_value(label));
			count--;
		}
		json_decref(label);
	}
	json_decref(list);
	return count;
}

static void plan_tpm(struct plan *plan, struct planned *control, struct reasons *blockers)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];

	path_of(&control->it, path);
	control->partner = true;
	if (!was_connected(control, path)) {
		reasons_add(blockers, BLOCKER_TPM_UNKNOWN,
			    "descriptor %d: a TPM emulator that QEMU did not connect to by a path", control->it.fd);
		control->action = PLAN_BLOCK;
		return;
	}
	for (size_t i = 0; i < plan->count; i++) {
		struct planned *p = &plan->fds[i];

		if (p->it.kind != FDKIND_SOCKETPAIR || p->it.rec.parent != control->it.fd)
			continue;
		p->action = PLAN_PRESERVE;
		p->parent = (int)(control - plan->fds);
	}
}

static size_t count_channels(const struct plan *plan)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++)
		count += plan->fds[i].it.kind == FDKIND_SOCKETPAIR && plan->fds[i].parent >= 0;
	return count;
}

/* Each TPM's data channel must have been found, or the new QEMU's would be refused by the emulator. */
static void check_tpms(const struct plan *plan, uint64_t deadline, struct reasons *blockers)
{
	char error[QMP_ERROR_MAX];
	json_t *list = qmp_command(&qmp_private, "query-tpm", NULL, deadline, error);
	size_t count = json_array_size(list), found = count_channels(plan);

	if (found < count)
		reasons_add(blockers, BLOCKER_TPM_LOST,
			    "%zu of %zu TPMs have lost their emulator, or it is none that is known", count - found,
			    count);
	json_decref(list);
}

/**
 * partners_plan() - what becomes of connections to devices' other halves
 * @plan:	 changed for these connections
 * @chardevs:	 answer of query-chardev
 * @deadline_ns: CLOCK_MONOTONIC
 * @blockers:	 what cannot be handed over
 */
void partners_plan(struct plan *plan, const json_t *chardevs, uint64_t deadline_ns, struct reasons *blockers)
{
	static const char *const parents[] = { "/machine/peripheral", "/machine/peripheral-anon" };
	size_t devices = 0, found = 0;

	for (size_t i = 0; i < plan->count; i++) {
		struct planned *p = &plan->fds[i];
		int protocol = p->chardev ? session_protocol(p->it.fd) : SESSION_UNKNOWN;

		if (protocol == SESSION_VHOST_USER) {
			plan_vhost_user(p, blockers);
			found++;
		} else if (protocol == SESSION_TPM) {
			plan_tpm(plan, p, blockers);
		}
	}
	check_tpms(plan, deadline_ns, blockers);
	for (size_t i = 0; i < sizeof(parents) / sizeof(parents[0]); i++)
		devices += count_vhost_user(parents[i], chardevs, deadline_ns, blockers);
	if (devices != found)
		reasons_add(blockers, BLOCKER_VHOST_USER,
			    "there are %zu vhost-user devices with a back end, but %zu such connections", devices,
			    found);
}

/* The same that a load looks at (hw/virtio/virtio.c:virtio_load). Return: false where there is no such queue. */
static bool check_ring(const char *path, int queue, uint64_t deadline, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];
	json_t *ring = qmp_command(&qmp_private, "x-query-virtio-queue-status",
				   json_pack("{s:s, s:i}", "path", path, "queue", queue), deadline, error);
	uint16_t last = (uint16_t)json_integer_value(json_object_get(ring, "last-avail-idx"));
	uint16_t used = (uint16_t)json_integer_value(json_object_get(ring, "used-idx"));
	json_int_t size = json_integer_value(json_object_get(ring, "vring-num"));
	bool there = ring;

	if (there && json_integer_value(json_object_get(ring, "vring-desc")) && (uint16_t)(last - used) > size)
		reasons_add(reasons, BLOCKER_VHOST_USER_RINGS,
			    "%s: of queue %d %u requests were finished, and only %u begun", path, queue, used, last);
	json_decref(ring);
	return there;
}

/** partners_have_rings() - has partners_check_rings() anything to look at? */
bool partners_have_rings(const struct plan *plan)
{
	bool any = false;

	for (size_t i = 0; i < plan->count; i++)
		any |= plan->fds[i].partner && session_protocol(plan->fds[i].it.fd) == SESSION_VHOST_USER;
	return any;
}

/**
 * partners_check_rings() - can the states of vhost-user devices be loaded?
 * @plan:	 the plan
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 why not
 *
 * After "stop", which has the back ends say how far they are. Where one was killed with requests under way, QEMU counts
 * from what it finds in the guest's memory (hw/virtio/virtio.c:virtio_queue_restore_last_avail_idx), and may be wrong
 * for ever: such a state is loaded by no QEMU, the old one included.
 *
 * Return: 0 or -EIO.
 */
int partners_check_rings(const struct plan *plan, uint64_t deadline_ns, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];
	const json_t *device;
	size_t i;

	if (!partners_have_rings(plan))
		return 0;
	json_t *devices = qmp_command(&qmp_private, "x-query-virtio", NULL, deadline_ns, error);
	json_array_foreach(devices, i, device) {
		const char *path = json_string_value(json_object_get(device, "path"));
		int queue = 0;

		/* Its name does not tell a vhost-user device from one of QEMU's own. */
		while (path && check_ring(path, queue, deadline_ns, reasons))
			queue++;
	}
	json_decref(devices);
	return reasons_any(reasons) ? -EIO : 0;
}

static int channel_of(size_t control)
{
	for (size_t i = 0; i < preserved_count(); i++)
		if (preserved_at(i)->kind == FDKIND_SOCKETPAIR && preserved_at(i)->parent == (int)control)
			return preserved_at(i)->fd;
	return -1;
}

/**
 * partners_rehearse() - in a rehearsal, before main(): a stand-in for each, which the real one sees nothing of
 *
 * Return: 0 or a negative errno.
 */
int partners_rehearse(void)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < preserved_count(); i++)
		if (preserved_at(i)->protocol == SESSION_TPM)
			rc = tpmstand_start(preserved_at(i)->fd, channel_of(i));
	return rc;
}

/**
 * partners_rehearsable() - is there one for the other half that this descriptor leads to?
 * @fd:	      descriptor of a connection, for which partners_plan() has set @partner
 * @ret_name: what it is
 */
bool partners_rehearsable(int fd, const char **ret_name)
{
	bool is_tpm = session_protocol(fd) == SESSION_TPM;

	*ret_name = is_tpm ? "a TPM emulator" : "a vhost-user back end";
	return is_tpm;
}

/**
 * partners_settle() - on the way back, before main()
 * @state: the CPR state
 *
 * What the program that has failed left unread is thrown away, and a back end that is gone is waited for.
 *
 * Return: 0 or a negative errno.
 */
int partners_settle(const struct cprstate *state)
{
	int rc = 0;

	for (uint32_t i = 0; !rc && i < state->awaited_count; i++)
		rc = awaited_add((const struct sockaddr *)state->awaited[i].addr.data, state->awaited[i].addr.len);
	for (size_t i = 0; i < preserved_count(); i++)
		if (preserved_at(i)->protocol == SESSION_TPM && tpmsync_run(preserved_at(i)->fd, channel_of(i)))
			log_error("the TPM emulator does not answer, or has hung up");
	return rc;
}
