/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ringbufs.c - what character devices of type ringbuf hold; see ringbufs.h. */
#include "ringbufs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/real.h"
#include "preflight.h"
#include "qmp.h"
#include "version.h"
#include "vm.h"

/* One command's worth, and so many of them: the state has room for as much. */
#define PIECE_BYTES 262144
#define PIECES	    8

/* The next of what a device holds, as base64: "" where there is no more, NULL where that cannot be told. */
static char *read_piece(const char *device, uint64_t deadline, char error[QMP_ERROR_MAX])
{
	json_t *answer =
		qmp_command(&qmp_private, "ringbuf-read",
			    json_pack("{s:s, s:i, s:s}", "device", device, "size", PIECE_BYTES, "format", "base64"),
			    deadline, error);
	char *copy = json_is_string(answer) ? strdup(json_string_value(answer)) : NULL;

	json_decref(answer);
	return copy;
}

/*
 * What a monitor is sent QEMU reads byte by byte (monitor/monitor.c:monitor_can_read), which takes seconds where it is
 * much. So its own function is called, where the binary exports it (chardev/char-ringbuf.c); the same in these versions.
 */
#define BASE64 1 /* enum DataFormat */

typedef void write_fn(const char *device, const char *data, bool has_format, int format, void **errp);
typedef const char *pretty_fn(const void *error);

/**
 * struct writing - what ring buffers are to hold
 * @list, @count: pieces, in their order
 * @write, @pretty: QEMU's functions, or NULL
 * @error: why one could not be written, QMP_ERROR_MAX bytes; "" where all could
 */
struct writing {
	const struct cpr_ringbuf *list;
	size_t count;
	write_fn *write;
	pretty_fn *pretty;
	char *error;
};

static bool find_functions(struct writing *w)
{
	if (!version_is_known(vm.binary.version))
		return false;
	w->write = (write_fn *)real_symbol("qmp_ringbuf_write");
	w->pretty = (pretty_fn *)real_symbol("error_get_pretty");
	return w->write && w->pretty;
}

/* On the main thread. An error's memory is not given back: the update is over then. */
static void write_directly(void *opaque)
{
	struct writing *w = opaque;
	void *err = NULL;

	for (size_t i = 0; !err && i < w->count; i++)
		w->write(w->list[i].device, w->list[i].data, true, BASE64, &err);
	if (err)
		snprintf(w->error, QMP_ERROR_MAX, "%s", w->pretty(err));
}

static int write_by_monitor(const struct writing *w, uint64_t deadline)
{
	int rc = 0;

	for (size_t i = 0; i < w->count; i++)
		rc |= qmp_do(&qmp_private, "ringbuf-write",
			     json_pack("{s:s, s:s, s:s}", "device", w->list[i].device, "data", w->list[i].data,
				       "format", "base64"),
			     deadline, w->error);
	return rc;
}

static int write_pieces(const struct cpr_ringbuf *list, size_t count, uint64_t deadline, char error[QMP_ERROR_MAX])
{
	static struct writing w;

	if (!count)
		return 0;
	error[0] = '\0';
	w = (struct writing){ .list = list, .count = count, .error = error };
	if (!find_functions(&w) || qmp_call_on_main(write_directly, &w, deadline))
		return write_by_monitor(&w, deadline);
	return *error ? -EIO : 0;
}

static int take_one(json_t *taken, const char *device, uint64_t deadline, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX] = "no memory";

	for (;;) {
		char *data = read_piece(device, deadline, error);
		bool last = data && !*data;

		if (!data) {
			reasons_add(reasons, BLOCKER_RINGBUF, "ring buffer %s could not be read: %s", device, error);
			return -EIO;
		}
		if (!last)
			json_array_append_new(taken, json_pack("{s:s, s:s}", "device", device, "data", data));
		free(data);
		if (last)
			return 0;
	}
}

/**
 * ringbufs_take() - read all of them
 * @ret:	 what was read, a new reference in any case, for ringbufs_put() or ringbufs_give_back()
 * @deadline_ns: CLOCK_MONOTONIC
 * @reasons:	 what went wrong
 *
 * The guest stands still, and monitors have decoys: nobody writes to one.
 *
 * Return: 0 or a negative errno.
 */
int ringbufs_take(json_t **ret, uint64_t deadline_ns, struct reasons *reasons)
{
	json_t *chardevs = preflight_chardevs(deadline_ns);
	const json_t *dev;
	int rc = chardevs ? 0 : -EIO;
	size_t i;

	*ret = json_array();
	json_array_foreach(chardevs, i, dev) {
		const char *name = json_string_value(json_object_get(dev, "filename"));

		/* Both are names of one back end. */
		if (!rc && name && (!strcmp(name, "ringbuf") || !strcmp(name, "memory")))
			rc = take_one(*ret, json_string_value(json_object_get(dev, "label")), deadline_ns, reasons);
	}
	json_decref(chardevs);
	if (!rc && json_array_size(*ret) > PIECES) {
		reasons_add(reasons, BLOCKER_RINGBUF, "ring buffers hold more than %d KiB",
			    PIECES * PIECE_BYTES / 1024);
		rc = -E2BIG;
	}
	return rc;
}

static struct cpr_ringbuf piece_at(const json_t *taken, size_t i)
{
	const json_t *piece = json_array_get(taken, i);

	return (struct cpr_ringbuf){ .device = json_string_value(json_object_get(piece, "device")),
				     .data = json_string_value(json_object_get(piece, "data")) };
}

/** ringbufs_put() - write what was read into a state */
void ringbufs_put(struct codec_writer *w, const json_t *taken)
{
	for (size_t i = 0; i < json_array_size(taken); i++) {
		struct cpr_ringbuf piece = piece_at(taken, i);

		cprstate_put_ringbuf(w, &piece);
	}
}

/** ringbufs_give_back() - the update did not come to pass. Return: 0 or a negative errno; @taken is given up. */
int ringbufs_give_back(json_t *taken, uint64_t deadline_ns)
{
	size_t count = json_array_size(taken);
	struct cpr_ringbuf *list = calloc(count + 1, sizeof(*list));
	char error[QMP_ERROR_MAX];
	int rc = list ? 0 : -ENOMEM;

	for (size_t i = 0; list && i < count; i++)
		list[i] = piece_at(taken, i);
	if (list)
		rc = write_pieces(list, count, deadline_ns, error);
	free(list);
	json_decref(taken);
	return rc;
}

/**
 * ringbufs_restore() - give a successor what its predecessor's held
 * @state:	 the state
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 what went wrong, QMP_ERROR_MAX bytes
 *
 * Return: 0 or a negative errno.
 */
int ringbufs_restore(const struct cprstate *state, uint64_t deadline_ns, char *error)
{
	return write_pieces(state->ringbuf, state->ringbuf_count, deadline_ns, error);
}
