/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ringbufs.c - what character devices of type ringbuf hold; see ringbufs.h. */
#include "ringbufs.h"

#include <errno.h>
#include <string.h>

#include "preflight.h"
#include "qmp.h"

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

static int write_piece(const char *device, const char *data, uint64_t deadline, char error[QMP_ERROR_MAX])
{
	return qmp_do(&qmp_private, "ringbuf-write",
		      json_pack("{s:s, s:s, s:s}", "device", device, "data", data, "format", "base64"), deadline,
		      error);
}

static int take_one(json_t *taken, const char *device, uint64_t deadline, struct reasons *reasons)
{
	char error[QMP_ERROR_MAX] = "no memory";

	for (;;) {
		char *data = read_piece(device, deadline, error);
		bool last = data && !*data;

		if (!data) {
			reasons_add(reasons, "ring buffer %s could not be read: %s", device, error);
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
		reasons_add(reasons, "ring buffers hold more than %d KiB: read them with ringbuf-read",
			    PIECES * PIECE_BYTES / 1024);
		rc = -E2BIG;
	}
	return rc;
}

/** ringbufs_put() - write what was read into a state */
void ringbufs_put(struct codec_writer *w, const json_t *taken)
{
	const json_t *piece;
	size_t i;

	json_array_foreach(taken, i, piece)
		cprstate_put_ringbuf(w, &(struct cpr_ringbuf){
						.device = json_string_value(json_object_get(piece, "device")),
						.data = json_string_value(json_object_get(piece, "data")),
					});
}

/** ringbufs_give_back() - the update did not come to pass. Return: 0 or a negative errno; @taken is given up. */
int ringbufs_give_back(json_t *taken, uint64_t deadline_ns)
{
	char error[QMP_ERROR_MAX];
	const json_t *piece;
	int rc = 0;
	size_t i;

	json_array_foreach(taken, i, piece)
		if (write_piece(json_string_value(json_object_get(piece, "device")),
				json_string_value(json_object_get(piece, "data")), deadline_ns, error))
			rc = -EIO;
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
	for (uint32_t i = 0; i < state->ringbuf_count; i++)
		if (write_piece(state->ringbuf[i].device, state->ringbuf[i].data, deadline_ns, error))
			return -EIO;
	return 0;
}
