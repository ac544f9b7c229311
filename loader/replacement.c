/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* replacement.c - the next QEMU; see replacement.h. */
#include "replacement.h"

#include <stdio.h>
#include <string.h>

#include "../shim/slots.h"
#include "allowed.h"
#include "pins.h"
#include "probe.h"

/* From here on a command is what counts, and not the file that it begins with. */
static void use_command(struct vm_binary *target, char **argv)
{
	target->fd = slots_close(target->fd);
	target->module_dir[0] = '\0';
	target->start = (struct start){ .how = START_COMMAND, .argv = argv };
}

/**
 * replacement_find() - find what an update is to lead to
 * @request:	what is asked for
 * @ret:	it; its file is the caller's to close
 * @ret_script: the command that a script alone is, which @ret then refers to
 * @reasons:	why it cannot be taken
 *
 * The replacement's file is opened once and for all; a script or a command is found anew by its path.
 */
void replacement_find(const struct update_request *request, struct vm_binary *ret, char *ret_script[2],
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
		reasons_add(reasons, BLOCKER_BINARY_FILE, "%s cannot be opened: %s", path, strerror(-rc));
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
