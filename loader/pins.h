/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pins.h - everything that the running QEMU is made of, held open.
 *
 * A package upgrade replaces the binary, its libraries, its modules and its firmware on disk, and an update that then
 * fails has to come back to what was there before. So each of these files is held by a descriptor from the start. The
 * way back uses them where the path no longer leads to the same file: libraries by preloading them, modules and
 * firmware through directories of links to /proc/self/fd/N. glibc's own libraries are taken from disk: they only go
 * together with the loader there, and a newer glibc runs what an older one ran.
 */
#ifndef CPRSHIM_LOADER_PINS_H
#define CPRSHIM_LOADER_PINS_H

#include <stdbool.h>
#include <stddef.h>

#include "vm.h"

#define PINS_MAX 512

struct pin {
	unsigned int kind; /* CPR_PIN_* */
	int fd;
	char *name; /* as it is looked up: a library's soname, "NAME.so", "keymaps/de" */
	char *path;
};

int pins_open_binary(struct vm_binary *binary, const char *path);
void pins_module_dir(struct vm_binary *binary);
void pins_take(void);
void pins_adopt(const struct cprstate *state);
void pins_release(void);
size_t pins_count(void);
const struct pin *pins_at(size_t index);
bool pins_changed_on_disk(void);
int pins_prepare_way_back(const char *dir, struct vm_binary *ret);
void pins_remove_links(const char *dir);
bool pins_is_module(const char *path);
bool pins_own_path(char *ret, size_t size);

#endif
