/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * argv.h - QEMU's command line: what it says about the VM, and what a successor is given instead of it.
 *
 * The user's arguments are kept as they are; changes are made to a copy that only QEMU's main() sees.
 */
#ifndef CPRSHIM_LOADER_ARGV_H
#define CPRSHIM_LOADER_ARGV_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct argv_successor - what a successor's command line depends on
 * @machine: machine type without alias, such as "pc-q35-7.2"
 * @vmgenid: GUID that "guid=auto" had become, or ""
 * @readconfig: file with the private monitor
 * @firmware_dir: first directory to look for firmware in, or ""
 * @more: further arguments, ended by NULL
 * @rehearsal: nothing outside it may change or be seen
 * @helper_taps: descriptors of the taps that bridge helpers made, oldest first, ended by -1
 */
struct argv_successor {
	const char *machine;
	const char *vmgenid;
	const char *readconfig;
	const char *firmware_dir;
	char *const *more;
	bool rehearsal;
	const int *helper_taps;
};

bool argv_names_vmm(const char *path);
bool argv_is_inert(char *const argv[]);
bool argv_has(char *const argv[], const char *option);
unsigned int argv_frontends(char *const argv[], const char *label);
char argv_escape(char *const argv[]);
bool argv_mentions(char *const argv[], const char *text);
const char *argv_value(char *const argv[], const char *option, size_t nth);
bool argv_makes(char *const argv[], const char *kind, const char *id);
bool argv_get(char *const argv[], const char *option, const char *id, const char *key, char *ret, size_t size);
bool argv_is_cdrom(char *const argv[], const char *drive);
bool argv_makes_part(char *const argv[], const char *node);
size_t argv_dangling(char *const argv[], bool (*is_removed)(const char *kind, const char *id), size_t from,
		     const char **ret_option, const char **ret_kind, char *ret_id, size_t size);
bool argv_forbids_affinity(char *const argv[]);
char **argv_with(char *const argv[], const char *const extra[]);
char **argv_without(char *const argv[], bool (*is_removed)(const char *kind, const char *id),
		    bool (*has_value)(const char *kind, const char *id));
char **argv_for_successor(char *const argv[], const struct argv_successor *what);

#endif
