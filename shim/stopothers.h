/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stopothers.h - something is done while no other thread of the process runs. x86-64. */
#ifndef CPRSHIM_SHIM_STOPOTHERS_H
#define CPRSHIM_SHIM_STOPOTHERS_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct code_range - code that is to be exchanged
 * @start: address of its first instruction, where a thread may stand
 * @end:   address behind it
 */
struct code_range {
	uint64_t start, end;
};

int stopothers_run(const struct code_range *ranges, size_t count, void (*work)(void *), void *arg,
		   const char **ret_why);

#endif
