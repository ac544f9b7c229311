/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fdnames.h - names of descriptors that monitors' clients have passed in (getfd), until a command takes one by its name.
 *
 * Each monitor has names of its own, which outlive its client (monitor/fds.c), and QEMU cannot be asked for any of them.
 * What took a descriptor is remembered with its number instead: the new QEMU has it under that number. Whatever else was
 * said with a name in it may have taken it.
 */
#ifndef CPRSHIM_LOADER_FDNAMES_H
#define CPRSHIM_LOADER_FDNAMES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FDNAMES_TEXT 256
#define FDNAMES_MAX  64

/*
 * What stands in a command in place of a name where QEMU takes nothing but a name (util/qemu-sockets.c:socket_get_fd), and
 * the number behind it.
 */
#define FDNAMES_PREFIX "cprshim-"

/**
 * struct fdname - a descriptor under a name
 * @monitor: the listener that the monitor's clients come from, or else its connection
 * @number:  its own
 * @seq:     of its record: another descriptor may have the number by now
 * @hmp:     the monitor is a human one
 * @told:    the name was said in another command since
 * @name:    "" where there is none
 */
struct fdname {
	int monitor;
	int number;
	uint64_t seq;
	bool hmp;
	bool told;
	char name[FDNAMES_TEXT];
};

struct fdname fdnames_newest(int fd);
bool fdnames_is_request(const json_t *request);
void fdnames_apply(const struct fdname *came, bool hmp, const json_t *request);
void fdnames_forget(int fd);
void fdnames_tell(int fd, const json_t *request);
void fdnames_resolve(int fd, json_t *arguments);
bool fdnames_has_number(const json_t *arguments, int number);
bool fdnames_get(int number, uint64_t seq, struct fdname *ret);
bool fdnames_has(int fd, const char *name);
void fdnames_each_address(const json_t *arguments, void (*fn)(json_t *holder, const char *name, void *opaque),
			  void *opaque);

#endif
