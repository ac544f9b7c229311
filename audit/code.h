/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * code.h - one function, decoded from its start along its jumps, and what reaches a system call in it.
 *
 * Decoding follows every way through the function, so that bytes between instructions are not taken for some. Where a
 * jump's target cannot be told (a table of jumps, a landing pad of exceptions), what no other way leads to is decoded from
 * where it begins: rather one call too many in the list than one missed.
 */
#ifndef CPRSHIM_AUDIT_CODE_H
#define CPRSHIM_AUDIT_CODE_H

#include "disasm.h"

#define CODE_VALUES_MAX 8u

/**
 * struct code - a decoded function, for code_free()
 * @start:	its address
 * @bytes:	its bytes
 * @size:	how many
 * @insns:	instructions, in the order in which they were found
 * @count:	how many
 * @sure:	how many of them a way from the start leads to
 * @room:	how many there is memory for
 * @at:		for each byte, 1 + the instruction that begins there, else 0
 * @befores:	for each instruction, the first of @edges, or -1
 * @edges:	which instructions come before it
 * @unclear:	it has a jump whose target is not known
 * @damaged:	it has bytes that are no instruction where one should be
 */
struct code {
	uint64_t start;
	const uint8_t *bytes;
	size_t size;
	struct insn *insns;
	size_t count, sure, room;
	uint32_t *at;
	int32_t *befores;
	struct code_edge *edges;
	size_t edge_count;
	bool unclear, damaged;
};

/* Why a register's value cannot be told. */
enum code_why {
	CODE_KNOWN,
	CODE_ENTRY,    /* it is what the function is entered with */
	CODE_MEMORY,   /* it is loaded from memory */
	CODE_COMPUTED, /* an instruction makes it from something else */
	CODE_CALL,     /* a function that is called leaves it there */
	CODE_JUMP,     /* a jump leads there whose origin is not known */
	CODE_MANY,     /* more values than are kept */
};

/**
 * struct code_values - what a register may hold
 * @count:	values that are known
 * @values:	the values, in order
 * @why:	CODE_KNOWN where there can be no others
 */
struct code_values {
	size_t count;
	uint64_t values[CODE_VALUES_MAX];
	enum code_why why;
};

int code_decode(const struct disasm_api *api, uint64_t start, const uint8_t *bytes, size_t size, bool lands,
		struct code *ret_code);
void code_free(struct code *code);
size_t code_find(const struct code *code, uint64_t address);
int code_trace(const struct code *code, size_t index, uint8_t reg, struct code_values *ret_values);
bool code_room(const struct code *code, size_t index, size_t need, uint64_t *ret_address, size_t *ret_size);
const char *code_why_text(enum code_why why);

#endif
