/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vm.h - what the loader knows of the VM in this process.
 *
 * One VM, one struct. It is filled before main(), by the entry, from the command line or from the CPR state; afterwards
 * it is the service thread's alone.
 */
#ifndef CPRSHIM_LOADER_VM_H
#define CPRSHIM_LOADER_VM_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../state/cprstate.h"
#include "../state/journal.h"
#include "start.h"

/**
 * struct vm_binary - a QEMU that can be exec'd
 * @fd:		the file, one of ours
 * @path:	the path it was found under
 * @version:	such as "7.2.22"; "" until known
 * @package:	the version's suffix, such as "Debian 1:7.2+dfsg-7"; "" until known
 * @module_dir:	where its modules are, for QEMU_MODULE_DIR; "" to leave that to the binary
 * @firmware_dir: first directory to look for firmware in (-L), or ""
 * @preload:	libraries to load before any other, or ""
 * @cpu:	for -cpu, where its default is not what the guest has; else ""
 * @start:	how it is started; @fd is -1 where that is by a command, and @path is QEMU's as soon as it is known
 */
struct vm_binary {
	int fd;
	char path[PATH_MAX];
	char version[64];
	char package[192];
	char module_dir[PATH_MAX];
	char firmware_dir[PATH_MAX];
	char preload[8192];
	char cpu[128];
	struct start start;
};

/**
 * struct vm - the VM
 * @argv, @envp: as the VM was first started
 * @own_path:	path that this library was first loaded from
 * @library_fd:	this library
 * @cwd_fd:	directory that the VM was first started in
 * @binary:	what runs
 * @configured:	path that an update takes the replacement from
 * @configured_argv: command that it takes it by instead, or NULL: the loader that the VM was started through, and its
 *		QEMU
 * @generation:	updates done
 * @daemonized:	-daemonize has been done: the working directory is / now
 * @standard:	which of 0 to 2 were open when the program began, as 1 << number; others are files of QEMU's
 * @signal_mask: of the main thread at first start: bit N-1 for signal N
 * @start_time:	of the process, in clock ticks since boot (proc(5), stat, field 22)
 * @machine:	machine type without alias; "" until known
 * @name:	of the guest; "" where it has none
 * @vmgenid:	GUID, or ""
 * @cpr_state:	in a successor: the CPR state it came with, else NULL
 * @journal:	of the update under way, else NULL
 * @journal_fd:	its memfd, or -1
 * @history:	results of past updates, oldest first
 * @entities:	devices, objects, back ends and block nodes right after start; malloc'ed
 * @asked_by:	who asked for the update under way, for the host's log
 * @gives_back: a stand-in is about to give the guest back to the process that it belongs to
 * @inhibited:	why it must not be updated, or ""
 * @started_seq: the table's next sequence number at that moment
 */
struct vm {
	char **argv;
	char **envp;
	char own_path[PATH_MAX];
	int library_fd;
	int cwd_fd;
	struct vm_binary binary;
	char configured[PATH_MAX];
	char **configured_argv;
	uint32_t generation;
	bool daemonized;
	unsigned int standard;
	uint64_t signal_mask;
	uint64_t start_time;
	char machine[128];
	char name[256];
	char vmgenid[64];
	struct cprstate *cpr_state;
	struct journal *journal;
	int journal_fd;
	json_t *history;
	char *entities;
	char asked_by[96];
	bool gives_back;
	char inhibited[256];
	uint64_t started_seq;
};

extern struct vm vm;

uint64_t vm_start_time(void);
void vm_note_standard(void);
bool vm_is_standard(int fd);
void vm_read_file(const char *path, char *ret, size_t size);
void vm_boot_id(char *ret, size_t size);
uint64_t vm_status_of(pid_t pid, const char *name, int base);
uint64_t vm_process_status(const char *name, int base);
int vm_map_journal(int fd);
int vm_new_journal(void);
void vm_drop_journal(void);
void vm_mark(enum journal_moment moment);

#endif
