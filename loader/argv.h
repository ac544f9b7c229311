/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* argv.h - QEMU's command line: what it says about the VM. The user's arguments are kept as they are. */
#ifndef CPRSHIM_LOADER_ARGV_H
#define CPRSHIM_LOADER_ARGV_H

#include <stdbool.h>
#include <stddef.h>

bool argv_names_vmm(const char *path);
bool argv_is_option(const char *arg, const char *option);
bool argv_is_inert(char *const argv[]);
bool argv_has(char *const argv[], const char *option);
unsigned int argv_frontends(char *const argv[], const char *label);
char argv_escape(char *const argv[]);
bool argv_mentions(char *const argv[], const char *text);
const char *argv_value(char *const argv[], const char *option, size_t nth);
const char *argv_last(char *const argv[], const char *option);
bool argv_forbids_affinity(char *const argv[]);
char **argv_with(char *const argv[], const char *const extra[]);

#endif
