/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * raw.h - CPRSHIM_RAW=on: what libc opens, closes, duplicates and maps on its own behalf comes to the hooks too.
 *
 * A call inside libc goes past every hook: fopen() opens without open(). With this setting the entries of the functions that
 * libc itself calls lead to the hooks, so that the table shows what popen() or tmpfile() have opened. It changes no outcome of
 * an update: what is open is found in /proc/self/fd. raw.c is for x86-64, raw_none.c for all others.
 */
#ifndef CPRSHIM_SHIM_RAW_H
#define CPRSHIM_SHIM_RAW_H

#include <stddef.h>

enum raw_state {
	RAW_OFF,
	RAW_ON,		 /* at least one function leads to its hook */
	RAW_UNAVAILABLE, /* it was asked for, and libc is as it was */
};

/**
 * struct raw_function - one of libc's functions
 * @name: its name
 * @why:  why it was left as it is; NULL where it leads to its hook
 */
struct raw_function {
	const char *name;
	const char *why;
};

void raw_start(const char *own_path);
enum raw_state raw_state(void);
const char *raw_why(void);
size_t raw_count(void);
struct raw_function raw_function(size_t index);

#endif
