/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* watched.h - the monitors' commands that change the VM: which they are, what of, and whether one went well. */
#ifndef CPRSHIM_LOADER_WATCHED_H
#define CPRSHIM_LOADER_WATCHED_H

#include <jansson.h>
#include <stdbool.h>

enum watched_effect {
	EFFECT_ADD,    /* makes something */
	EFFECT_DELETE, /* is done when it is answered */
	EFFECT_UNPLUG, /* is done when the guest lets go */
	EFFECT_SET,    /* the last one counts */
	EFFECT_ALTER,  /* changes how block nodes hang together */
};

/**
 * struct watched - a command that changes the VM
 * @qmp, @hmp: its name in either language, or NULL
 * @effect: what it does
 * @kind:   of what
 * @key:    the argument that says of which one; NULL where there is but one
 * @key2:   a further one, or NULL
 */
struct watched {
	const char *qmp;
	const char *hmp;
	enum watched_effect effect;
	const char *kind;
	const char *key;
	const char *key2;
};

const struct watched *watched_find(const json_t *request);
json_t *watched_command(const json_t *request);
char *watched_id(const struct watched *w, const json_t *request, const json_t *command);
bool watched_hmp_went_well(const char *text);
bool watched_went_well(const json_t *request, const json_t *answer);

#endif
