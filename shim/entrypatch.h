/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * entrypatch.h - what has to be written so that a function's entry leads to a hook. Bytes only: nothing is read or
 * changed here. x86-64.
 *
 *     the function                     its island, within 2 GiB            the hook, anywhere
 *     +--------------+                 +----------------------------+
 *     | endbr64      | (kept)    +---> | jmp *target                | ---> takes the arguments and the return address
 *     | jmp island   | ----------+     | target: the hook's address |      as the caller left them
 *     | (left over)  |                 +----------------------------+
 *     | rest         | <---------+     | endbr64                    | <--- what the hook calls instead of the function
 *     +--------------+           |     | the displaced instructions |
 *                                +---- | jmp rest                   |
 *                                      +----------------------------+
 *
 * Jumps alone are used, so that a shadow stack sees no return without its call. What is come to by an indirect jump or call
 * begins with endbr64 (Intel SDM 1, 17.3).
 */
#ifndef CPRSHIM_SHIM_ENTRYPATCH_H
#define CPRSHIM_SHIM_ENTRYPATCH_H

#include "../audit/disasm.h"

#define ENTRYPATCH_JUMP	      5u  /* bytes of a jump with a displacement of 32 bits: what is written over */
#define ENTRYPATCH_ISLAND     64u /* room for an island */
#define ENTRYPATCH_TRAMPOLINE 16u /* where in it the function's substitute begins */

/**
 * struct entrypatch - a function's patch
 * @at:	    address of the bytes to be replaced: the entry, or behind its endbr64
 * @before: what must stand there
 * @after:  what is to stand there
 * @island: what is to stand at the island's address, to be executable; what is not used of it traps
 */
struct entrypatch {
	uint64_t at;
	uint8_t before[ENTRYPATCH_JUMP];
	uint8_t after[ENTRYPATCH_JUMP];
	uint8_t island[ENTRYPATCH_ISLAND];
};

int entrypatch_make(const struct disasm_api *api, const uint8_t *bytes, size_t size, uint64_t address, uint64_t island,
		    uint64_t hook, struct entrypatch *ret_patch, const char **ret_why);

#endif
