/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * changes.h - what monitors were asked to change since the VM was started, and QEMU did.
 *
 * QEMU cannot be asked how a network back end, a character device or a block node was made, so the request is kept that
 * made it, once it is known to have succeeded (shim/session.h shows both). What exists is for QEMU to say
 * (loader/entities.h); loader/hotplug.h brings the two together. Requests may hold secrets: they are never printed.
 */
#ifndef CPRSHIM_LOADER_CHANGES_H
#define CPRSHIM_LOADER_CHANGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../state/cprstate.h"

struct watched;

/* On the wire (docs/state-format.md): numbers stay. */
enum change_what {
	CHANGE_ADDED = 1,   /* command made it */
	CHANGE_REMOVED = 2, /* it is on the command line and must not be made */
	CHANGE_VALUE = 3,   /* command sets it */
};

/**
 * struct change - one change
 * @what: enum change_what
 * @kind: as in the list of entities: "device", "network", ...; of a value, what it is
 * @id:	  whose
 * @command: QMP, as JSON; "" of what was removed
 * @here: this program did it, no earlier one
 * @gone: it was removed since; the command may be ""
 * @altered: its block graph was changed since it was made
 * @seq:  tells one change from a later one of the same thing
 */
struct change {
	enum change_what what;
	char *kind;
	char *id;
	char *command;
	bool here;
	bool gone;
	bool altered;
	uint64_t seq;
};

void changes_watch(void);
void changes_take(const struct watched *w, const char *id, json_t *command);
void changes_event(const char *event, const char *device);
int changes_copy(struct change **ret, size_t *ret_count);
void changes_free(struct change *list, size_t count);
void changes_forget(const struct change *c);
void changes_remove(const char *kind, const char *id);
bool changes_is_removed(const char *kind, const char *id);
bool changes_any(void);
bool changes_uses_descriptor(const char *kind, int number);
void changes_set_command(const struct change *c, const char *command);
void changes_set_value(const char *kind, const char *id, const char *command);
bool changes_has_value(const char *kind, const char *id);
bool changes_added_drive(const char *id, const char *file);
bool changes_get(const char *device, const char *key, char *ret, size_t size);
bool changes_was_deleted(const char *device);
bool changes_is_unplugging(const char *device);
void changes_put(struct codec_writer *w);
int changes_adopt(const struct cprstate *state);

#endif
