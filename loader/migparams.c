/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* migparams.c - migration capabilities and parameters; see migparams.h. */
#include "migparams.h"

#include <stdlib.h>
#include <string.h>

#include "argv.h"
#include "plaintext.h"
#include "qmp.h"
#include "vm.h"

static json_t *query(const char *command, uint64_t deadline)
{
	char error[QMP_ERROR_MAX];

	return qmp_command(&qmp_private, command, NULL, deadline, error);
}

static char *as_text(json_t *answer)
{
	char *text = answer ? json_dumps(answer, JSON_COMPACT) : NULL;

	json_decref(answer);
	return text;
}

/** migparams_capabilities() - all capabilities, as JSON to be freed, or NULL */
char *migparams_capabilities(uint64_t deadline_ns)
{
	return as_text(query("query-migrate-capabilities", deadline_ns));
}

/** migparams_parameters() - all parameters, as JSON to be freed, or NULL */
char *migparams_parameters(uint64_t deadline_ns)
{
	return as_text(query("query-migrate-parameters", deadline_ns));
}

static const json_t *find_capability(const json_t *list, const char *name)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *known = json_string_value(json_object_get(item, "capability"));

		if (known && !strcmp(known, name))
			return item;
	}
	return NULL;
}

static void set_capability(json_t *item, uint64_t deadline, struct reasons *warnings)
{
	char error[QMP_ERROR_MAX];

	if (qmp_do(&qmp_private, "migrate-set-capabilities", json_pack("{s:[O]}", "capabilities", item), deadline,
		   error))
		reasons_note(warnings, "migration capability %s was not restored: %s",
			     json_string_value(json_object_get(item, "capability")), error);
}

/*
 * libvirtd asks for them when it connects to a QEMU, and names all of them whenever the VM is saved or migrated
 * (src/qemu/qemu_migration_params.c), which a QEMU that lacks one refuses. Nothing else tells that it is libvirtd who
 * manages this VM (src/qemu/qemu_command.c:qemuBuildMasterKeyCommandLine).
 */
static void warn_for_libvirt(const json_t *want, const json_t *have, struct reasons *warnings)
{
	char names[256] = "";
	const json_t *item;
	size_t i;

	if (!have || !argv_mentions(vm.argv, "masterKey0"))
		return;
	json_array_foreach(want, i, item) {
		const char *name = json_string_value(json_object_get(item, "capability"));

		if (!name || find_capability(have, name))
			continue;
		plaintext_add(names, sizeof(names), *names ? ", " : "");
		plaintext_add(names, sizeof(names), name);
	}
	if (*names)
		reasons_note(
			warnings,
			"this QEMU lacks migration capabilities that the last one had (%s): restart libvirtd before "
			"the VM is migrated or saved, or suspended by libvirt-guests at the host's shutdown",
			names);
}

static void restore_capabilities(const json_t *want, uint64_t deadline, struct reasons *warnings)
{
	json_t *have = query("query-migrate-capabilities", deadline), *item;
	size_t i;

	json_array_foreach(want, i, item) {
		const char *name = json_string_value(json_object_get(item, "capability"));
		const json_t *known = name ? find_capability(have, name) : NULL;

		/* One that the new QEMU does not know matters only where it was on. */
		if (known ? !json_equal(known, item) : json_is_true(json_object_get(item, "state")))
			set_capability(item, deadline, warnings);
	}
	warn_for_libvirt(want, have, warnings);
	json_decref(have);
}

static void restore_parameters(json_t *want, uint64_t deadline, struct reasons *warnings)
{
	json_t *have = query("query-migrate-parameters", deadline), *value;
	char error[QMP_ERROR_MAX];
	const char *name;

	json_object_foreach(want, name, value) {
		const json_t *known = json_object_get(have, name);

		/* One that this QEMU does not know is another version's, at its default or without meaning here. */
		if (!known || json_equal(known, value))
			continue;
		if (qmp_do(&qmp_private, "migrate-set-parameters", json_pack("{s:O}", name, value), deadline, error))
			reasons_note(warnings, "migration parameter %s was not restored: %s", name, error);
	}
	json_decref(have);
}

/**
 * migparams_restore() - give a successor what its predecessor had
 * @capabilities, @parameters: as saved; "" to leave them
 * @deadline_ns: CLOCK_MONOTONIC
 * @warnings:	 what the new QEMU does not take
 *
 * Only what differs is set, one by one: a QEMU that refuses one of several takes none of them.
 */
void migparams_restore(const char *capabilities, const char *parameters, uint64_t deadline_ns, struct reasons *warnings)
{
	json_t *list = json_loads(capabilities, 0, NULL), *object = json_loads(parameters, 0, NULL);

	restore_capabilities(list, deadline_ns, warnings);
	restore_parameters(object, deadline_ns, warnings);
	json_decref(list);
	json_decref(object);
}

static json_t *capability(const char *name, bool on)
{
	return json_pack("{s:s, s:b}", "capability", name, "state", on);
}

/**
 * migparams_for_load() - the capabilities that a load of ours needs, on or off
 * @on:		 or off
 * @deadline_ns: CLOCK_MONOTONIC
 * @error:	 QEMU's message
 *
 * late-block-activate: QEMU 7.2 takes the images over at the end of the load even when it starts stopped, which cannot
 * be undone; with it, "cont" does. events: the end of the load is told, not polled for.
 *
 * Return: 0 or a negative errno.
 */
int migparams_for_load(bool on, uint64_t deadline_ns, char error[QMP_ERROR_MAX])
{
	return qmp_do(&qmp_private, "migrate-set-capabilities",
		      json_pack("{s:[o, o]}", "capabilities", capability("late-block-activate", on),
				capability("events", on)),
		      deadline_ns, error);
}
