/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* entrypatch.c - what has to be written so that a function's entry leads to a hook; see entrypatch.h. */
#include "entrypatch.h"

#include <errno.h>
#include <string.h>

#include "../audit/code.h"

#define ENDBR64_SIZE 4u
#define TRAP	     0xcc /* int3 */

static const char not_understood[] = "its code is not understood";
static const uint8_t endbr64[ENDBR64_SIZE] = { 0xf3, 0x0f, 0x1e, 0xfa };

/* A 32-bit displacement from the end of what it belongs to, which is at @from. */
static bool put_displacement(uint8_t *to, uint64_t from, uint64_t target)
{
	int64_t distance = (int64_t)(target - from);
	int32_t displacement = (int32_t)distance;

	memcpy(to, &displacement, sizeof(displacement));
	return displacement == distance;
}

static bool put_jump(uint8_t *to, uint64_t at, uint64_t target)
{
	to[0] = 0xe9;
	return put_displacement(to + 1, at + ENTRYPATCH_JUMP, target);
}

static void put_stub(uint8_t *to, uint64_t hook)
{
	static const uint8_t jump_to_next_8_bytes[] = { 0xff, 0x25, 0, 0, 0, 0 };

	memcpy(to, jump_to_next_8_bytes, sizeof(jump_to_next_8_bytes));
	memcpy(to + sizeof(jump_to_next_8_bytes), &hook, sizeof(hook));
}

/* Why an instruction cannot run elsewhere; NULL where it can. */
static const char *why_not_movable(const struct insn *insn)
{
	switch (insn->kind) {
	case INSN_OTHER:
		return insn->fixed && !insn->own_at ? "an instruction at its entry has to stay where it is" : NULL;
	case INSN_JUMP:
	case INSN_BRANCH:
	case INSN_JUMP_INDIRECT:
		return "there is a jump at its entry";
	case INSN_CALL:
		return "there is a call at its entry";
	case INSN_RETURN:
	case INSN_TRAP:
		return "it is too short";
	default:
		return "there is a system call at its entry";
	}
}

/* Does an instruction of the function jump to where others are displaced, be it the first of them? */
static bool is_jumped_to(const struct code *code, uint64_t from, uint64_t end)
{
	for (size_t i = 0; i < code->count; i++) {
		const struct insn *insn = &code->insns[i];

		if ((insn->kind == INSN_JUMP || insn->kind == INSN_BRANCH || insn->kind == INSN_CALL) &&
		    insn->target >= from && insn->target < end)
			return true;
	}
	return false;
}

/* Writes the substitute; *ret_end is where in the function it goes on. */
static const char *put_trampoline(const struct code *code, uint64_t from, uint64_t at, uint8_t *to, uint64_t *ret_end)
{
	uint64_t next = from;
	size_t size = ENDBR64_SIZE;

	memcpy(to, endbr64, ENDBR64_SIZE);
	while (next - from < ENTRYPATCH_JUMP) {
		size_t index = code_find(code, next);
		const struct insn *insn = &code->insns[index];

		if (index == code->count)
			return next - code->start < code->size ? not_understood : "it is too short";
		const char *why = why_not_movable(insn);
		if (why)
			return why;
		memcpy(to + size, code->bytes + (next - code->start), insn->size);
		if (insn->own_at) {
			int32_t displacement;

			memcpy(&displacement, to + size + insn->own_at, sizeof(displacement));
			if (!put_displacement(to + size + insn->own_at, at + size + insn->size,
					      next + insn->size + (uint64_t)(int64_t)displacement))
				return "what an instruction at its entry uses is too far away";
		}
		size += insn->size;
		next += insn->size;
	}
	*ret_end = next;
	return put_jump(to + size, at + size, next) ? NULL : "it is too far away";
}

static const char *make(const struct code *code, uint64_t island, uint64_t hook, struct entrypatch *patch)
{
	bool marked = code->size >= ENDBR64_SIZE && !memcmp(code->bytes, endbr64, ENDBR64_SIZE);
	const char *why;
	uint64_t end;

	patch->at = code->start + (marked ? ENDBR64_SIZE : 0);
	memset(patch->island, TRAP, sizeof(patch->island));
	put_stub(patch->island, hook);
	why = put_trampoline(code, patch->at, island + ENTRYPATCH_TRAMPOLINE, patch->island + ENTRYPATCH_TRAMPOLINE,
			     &end);
	if (why)
		return why;
	if (code->damaged)
		return not_understood;
	if (code->unclear)
		return "it has a jump whose target is not known";
	if (is_jumped_to(code, code->start, end))
		return "it jumps to its own entry";
	memcpy(patch->before, code->bytes + (patch->at - code->start), ENTRYPATCH_JUMP);
	return put_jump(patch->after, patch->at, island) ? NULL : "it is too far away";
}

/**
 * entrypatch_make() - say what has to be written
 * @api:       the disassembler, open
 * @bytes:     the function's code
 * @size:      its bytes
 * @address:   where it stands
 * @island:    where ENTRYPATCH_ISLAND bytes are free for it
 * @hook:      where calls are to go
 * @ret_patch: the answer; undefined on failure
 * @ret_why:   on failure: a sentence that says why it must be left alone
 *
 * What it may lead to elsewhere is not looked at: that other functions jump past the entry of this one is for the caller to
 * know.
 *
 * Return: 0, -ENOTSUP where it must be left alone, or -ENOMEM.
 */
int entrypatch_make(const struct disasm_api *api, const uint8_t *bytes, size_t size, uint64_t address, uint64_t island,
		    uint64_t hook, struct entrypatch *ret_patch, const char **ret_why)
{
	struct code code;

	*ret_why = "out of memory";
	if (code_decode(api, address, bytes, size, false, &code))
		return -ENOMEM;
	*ret_why = make(&code, island, hook, ret_patch);
	code_free(&code);
	return *ret_why ? -ENOTSUP : 0;
}
