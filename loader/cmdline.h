/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmdline.h - the command line that a successor's main() gets in place of the user's.
 *
 * Changes are made to a copy that only QEMU's main() sees: what ps shows stays.
 */
#ifndef CPRSHIM_LOADER_CMDLINE_H
#define CPRSHIM_LOADER_CMDLINE_H

#include <stdbool.h>

/**
 * struct cmdline_successor - what a successor's command line depends on
 * @machine: machine type without alias, such as "pc-q35-7.2"
 * @vmgenid: GUID that "guid=auto" had become, or ""
 * @readconfig: file with the private monitor
 * @firmware_dir: first directory to look for firmware in, or ""
 * @more: further arguments, ended by NULL
 * @beside: another process runs the guest
 * @fresh: another process has been started for it, and is no heir of the first one's sandbox
 * @rehearsal: nothing may ever be seen of it
 * @helper_taps: descriptors of the taps that bridge helpers made, oldest first, ended by -1
 */
struct cmdline_successor {
	const char *machine;
	const char *vmgenid;
	const char *readconfig;
	const char *firmware_dir;
	char *const *more;
	bool beside;
	bool fresh;
	bool rehearsal;
	const int *helper_taps;
};

char **cmdline_for_successor(char *const argv[], const struct cmdline_successor *what);

#endif
