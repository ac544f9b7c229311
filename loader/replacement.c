/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* replacement.c - the next QEMU; see replacement.h. */
#include "replacement.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../shim/slots.h"
#include "allowed.h"
#include "confined.h"
#include "control.h"
#include "guestcpu.h"
#include "pins.h"
#include "preflight.h"
#include "probe.h"
#include "qmp.h"

#define ANSWER_MS 30000

/* From here on a command is what counts, and not the file that it begins with. */
static void use_command(struct vm_binary *target, char **argv)
{
	target->fd = slots_close(target->fd);
	target->module_dir[0] = '\0';
	target->start = (struct start){ .how = START_COMMAND, .argv = argv };
}

/* The file is opened once and for all; a script or a command is found anew by its path. */
static void find(const struct update_request *request, struct vm_binary *ret, char *ret_script[2],
		 struct reasons *reasons)
{
	char **command = request->argv ? request->argv : request->binary ? NULL : vm.configured_argv;
	const char *path = command ? command[0] : request->binary ? request->binary : vm.configured;

	if (path[0] != '/') {
		reasons_add(reasons, BLOCKER_PATH_UNKNOWN, "%s is not an absolute path", path);
		return;
	}
	int rc = pins_open_binary(ret, path);
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	if (rc) {
		reasons_add(reasons, BLOCKER_BINARY_FILE, "%s cannot be opened: %s%s", path, strerror(-rc),
			    confined_hint(strerror(-rc)));
		return;
	}
	allowed_file(path, reasons);
	ret_script[0] = (char *)path;
	if (!command && start_is_script(ret->fd))
		command = ret_script;
	probe_file(path, ret->fd, command, reasons);
	if (command)
		use_command(ret, command);
}

/**
 * replacement_check() - find what an update is to lead to, and try it
 * @request:	what is asked for
 * @ret:	it; its file is the caller's to close
 * @ret_script: the command that a script alone is, which @ret then refers to
 * @may_try:	there is room to start it for a moment
 * @ret_about:	what it has told of itself, a new reference
 * @reasons:	why it cannot be taken
 */
void replacement_check(const struct update_request *request, struct vm_binary *ret, char *ret_script[2], bool may_try,
		       json_t **ret_about, struct reasons *reasons)
{
	struct reasons about = REASONS_INIT;

	find(request, ret, ret_script, &about);
	char *target = preflight_target(qmp_in_ms(ANSWER_MS));
	guestcpu_check(target ? target : "", &about);
	if (!reasons_any(&about) && may_try)
		probe_run(ret, target ? target : "", ret_about, &about);
	free(target);
	/* What a script leads to is known only now. */
	if (ret->start.how == START_COMMAND && !reasons_any(&about))
		allowed_file(ret->path, &about);
	reasons_move(reasons, &about);
}

/**
 * replacement_check_way_back() - prepare the running QEMU's start, and try it
 * @ret:     how it is started again
 * @may_try: there is room to start it for a moment
 * @reasons: why there would be no way back
 *
 * The way back must work with what is on disk by now. That is tried and not concluded: a file that is the same one may
 * still have been written to.
 */
void replacement_check_way_back(struct vm_binary *ret, bool may_try, struct reasons *reasons)
{
	struct reasons about = REASONS_INIT;
	int rc = pins_prepare_way_back(control_links_dir(getpid()), ret);

	if (rc) {
		reasons_add(reasons, BLOCKER_WAY_BACK,
			    "the running QEMU's files have changed on disk and could not be kept: %s", strerror(-rc));
		return;
	}
	if (!may_try)
		return;
	char *target = preflight_target(qmp_in_ms(ANSWER_MS));
	struct vm_binary back = *ret;
	probe_run(&back, target ? target : "", NULL, &about);
	free(target);
	reasons_move_as(reasons, BLOCKER_WAY_BACK, "there would be no way back: ", &about);
}

/**
 * replacement_elsewhere() - what an update leads to that another process starts
 * @where: the socket at which that waits, for people
 * @ret:   as a command: its own name and first arguments are for that process to say
 */
void replacement_elsewhere(const char *where, struct vm_binary *ret)
{
	static char name[] = "qemu", *unknown[] = { name, NULL };

	snprintf(ret->path, sizeof(ret->path), "%s", where);
	ret->start = (struct start){ .how = START_COMMAND, .argv = unknown };
}
