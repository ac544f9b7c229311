/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdnames.h - names of descriptors that monitors' clients have passed in (getfd), until a command takes one by its name.
 *
 * Each monitor has names of its own, and QEMU cannot be asked for any of them. What took a descriptor is remembered with
 * its number instead: the new QEMU has it under that number.
 */
#ifndef CPRSHIM_LOADER_FDNAMES_H
#define CPRSHIM_LOADER_FDNAMES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/**
 * struct fdname - a descriptor under a name
 * @monitor: descriptor of the monitor's connection
 * @number:  its own
 * @seq:     of its record: another descriptor may have the number by now
 * @name:    malloc'ed
 */
struct fdname {
	int monitor;
	int number;
	uint64_t seq;
	char *name;
};

struct fdname fdnames_newest(int monitor);
bool fdnames_is_request(const json_t *request);
void fdnames_add(const struct fdname *descriptor, const json_t *request);
void fdnames_forget(int monitor);
void fdnames_resolve(int monitor, json_t *arguments);
bool fdnames_has_number(const json_t *arguments, int number);

#endif
