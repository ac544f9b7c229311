/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* proc.h - what the kernel says about a process. */
#ifndef CPRSHIM_CTL_PROC_H
#define CPRSHIM_CTL_PROC_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * struct proc_id - who a process is
 * @uid:	effective user id
 * @inner_pid:	its PID as it sees itself
 * @started:	when, in ticks since the host's start: tells it from one that has its PID later. An exec does not change it
 * @comm:	its name; any bytes
 */
struct proc_id {
	uid_t uid;
	pid_t inner_pid;
	unsigned long long started;
	char comm[64];
};

ssize_t proc_read_file(pid_t pid, const char *name, char *ret_buf, size_t size);
int proc_identify(pid_t pid, struct proc_id *ret_id);
int proc_exe(pid_t pid, char ret_path[PATH_MAX]);
int proc_environment(pid_t pid, const char *name, char ret_value[PATH_MAX]);
int proc_find_program(const char *name, char **ret_path);
int proc_absolute(const char *path, char **ret_path);

#endif
