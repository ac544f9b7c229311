/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * start.h - how a QEMU is started: by its file, through a dynamic loader of its own, or by a command that ends in it.
 *
 * A replacement is a file that was opened and tried, and is exec'd by its descriptor; or a command (a script, taskset,
 * ip netns exec), which is exec'd by its path, since it finds what follows by path too. The QEMU that runs is started
 * again as itself, without the command that led to it: what that did to the process is done.
 */
#ifndef CPRSHIM_LOADER_START_H
#define CPRSHIM_LOADER_START_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cprstate;
struct vm_binary;

enum start_how { START_FILE, START_LOADER, START_COMMAND };

/**
 * struct start - how a QEMU is started
 * @how:     by its file, through a loader, by a command
 * @argv:    what comes before the VM's own arguments, ended by NULL; NULL: the name alone
 * @program: for START_LOADER: which of @argv is QEMU's file
 * @envp:    the environment; NULL: the VM's first one
 */
struct start {
	enum start_how how;
	char **argv;
	size_t program;
	char **envp;
};

/**
 * struct program - what is exec'd
 * @path: by its path, where that is not NULL
 * @fd:	  else by its descriptor
 * @argv, @envp: arguments and environment
 */
struct program {
	const char *path;
	int fd;
	char **argv;
	char **envp;
};

void start_note_main(const void *main_function);
bool start_is_vmm(const char *called);
bool start_is_script(int fd);
int start_open_self(struct vm_binary *ret);
int start_learn(struct start *ret, char *const argv[], size_t own);
int start_add(struct start *s, const char *name, char *const args[]);
bool start_ends_in(char *const argv[], char *const args[], size_t *ret_own);
char **start_argv(const struct vm_binary *binary, int fd, const char *name, const char *const args[]);
int start_adopt(struct start *ret, const struct cprstate *state, uint32_t role);
char *const *start_added(const struct start *s);
const char *start_path(const struct vm_binary *binary);
void start_exec(const struct program *p);

#endif
