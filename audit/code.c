/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* code.c - one function, decoded from its start along its jumps. See code.h. */
#include "code.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Instruction @from comes before another one, as does @next. */
struct code_edge {
	uint32_t from;
	int32_t next;
};

/* Addresses still to be looked at. */
struct pile {
	uint64_t *items;
	size_t count, room;
};

static int pile_add(struct pile *pile, uint64_t item)
{
	if (pile->count == pile->room) {
		size_t room = pile->room ? pile->room * 2 : 64;
		uint64_t *items = realloc(pile->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		pile->items = items;
		pile->room = room;
	}
	pile->items[pile->count++] = item;
	return 0;
}

static bool inside(const struct code *code, uint64_t address)
{
	return address >= code->start && address - code->start < code->size;
}

/* Does what stands behind an instruction come after it? */
static bool falls_through(const struct insn *insn)
{
	return insn->kind != INSN_JUMP && insn->kind != INSN_JUMP_INDIRECT && insn->kind != INSN_RETURN &&
	       insn->kind != INSN_TRAP;
}

static bool jumps(const struct insn *insn)
{
	return insn->kind == INSN_JUMP || insn->kind == INSN_BRANCH;
}

static int add_insn(struct code *code, const struct insn *insn)
{
	if (code->count == code->room) {
		size_t room = code->room ? code->room * 2 : 128;
		struct insn *insns = realloc(code->insns, room * sizeof(*insns));

		if (!insns)
			return -ENOMEM;
		code->insns = insns;
		code->room = room;
	}
	code->insns[code->count++] = *insn;
	code->at[insn->address - code->start] = (uint32_t)code->count;
	return 0;
}

/* Decodes from an address to where that way ends or meets another one. */
static int follow(const struct disasm_api *api, struct code *code, uint64_t address, struct pile *pile)
{
	while (inside(code, address) && !code->at[address - code->start]) {
		size_t offset = address - code->start;
		struct insn insn;

		if (!api->decode(code->bytes + offset, code->size - offset, address, &insn)) {
			code->damaged = true;
			return 0;
		}
		if (add_insn(code, &insn) || (jumps(&insn) && inside(code, insn.target) && pile_add(pile, insn.target)))
			return -ENOMEM;
		if (insn.kind == INSN_JUMP_INDIRECT)
			code->unclear = true;
		if (!falls_through(&insn))
			return 0;
		address += insn.size;
	}
	return 0;
}

static int follow_all(const struct disasm_api *api, struct code *code, struct pile *pile)
{
	int err = 0;

	while (!err && pile->count > 0)
		err = follow(api, code, pile->items[--pile->count], pile);
	return err;
}

/* Marks each byte that an instruction has; ones that overlap share some. */
static void mark(const struct code *code, size_t first, uint8_t *taken)
{
	for (size_t i = first; i < code->count; i++)
		memset(taken + (code->insns[i].address - code->start), 1, code->insns[i].size);
}

/* What nothing leads to is decoded as well, each stretch from its beginning, since a jump to it was not understood. */
static int follow_rest(const struct disasm_api *api, struct code *code, struct pile *pile)
{
	uint8_t *taken = calloc(1, code->size + 1);
	size_t marked = 0;
	int err = taken ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < code->size; i++) {
		mark(code, marked, taken);
		marked = code->count;
		if (taken[i])
			continue;
		err = pile_add(pile, code->start + i);
		if (!err)
			err = follow_all(api, code, pile);
		/* no instruction here: go on behind it */
		taken[i] = 1;
	}
	free(taken);
	return err;
}

static void add_edge(struct code *code, size_t from, uint64_t to)
{
	uint32_t at = inside(code, to) ? code->at[to - code->start] : 0;

	if (!at)
		return;
	code->edges[code->edge_count] = (struct code_edge){ (uint32_t)from, code->befores[at - 1] };
	code->befores[at - 1] = (int32_t)code->edge_count++;
}

static int link_insns(struct code *code)
{
	code->befores = malloc((code->count + 1) * sizeof(*code->befores));
	code->edges = malloc((2 * code->count + 1) * sizeof(*code->edges));
	if (!code->befores || !code->edges)
		return -ENOMEM;
	memset(code->befores, -1, (code->count + 1) * sizeof(*code->befores));
	for (size_t i = 0; i < code->count; i++) {
		const struct insn *insn = &code->insns[i];

		if (falls_through(insn))
			add_edge(code, i, insn->address + insn->size);
		if (jumps(insn))
			add_edge(code, i, insn->target);
	}
	return 0;
}

/**
 * code_decode() - decode a function
 * @api:      the disassembler, open
 * @start:    where it begins
 * @bytes:    its bytes, which must stay
 * @size:     how many
 * @lands:    it may be entered in its middle, by an exception
 * @ret_code: the function, for code_free()
 *
 * Return: 0 or -ENOMEM.
 */
int code_decode(const struct disasm_api *api, uint64_t start, const uint8_t *bytes, size_t size, bool lands,
		struct code *ret_code)
{
	struct code code = { .start = start, .bytes = bytes, .size = size };
	struct pile pile = { 0 };
	int err = -ENOMEM;

	code.at = calloc(size + 1, sizeof(*code.at));
	if (code.at && !pile_add(&pile, start))
		err = follow_all(api, &code, &pile);
	code.sure = code.count;
	if (!err && (lands || code.unclear))
		err = follow_rest(api, &code, &pile);
	if (!err)
		err = link_insns(&code);
	free(pile.items);
	if (err)
		code_free(&code);
	else
		*ret_code = code;
	return err;
}

/**
 * code_free() - give a function's memory back
 * @code: the function
 */
void code_free(struct code *code)
{
	free(code->insns);
	free(code->at);
	free(code->befores);
	free(code->edges);
}

/**
 * code_find() - the instruction that begins at an address
 * @code:    the function
 * @address: the address
 *
 * Return: its index, or the function's count where none begins there.
 */
size_t code_find(const struct code *code, uint64_t address)
{
	uint32_t at = inside(code, address) ? code->at[address - code->start] : 0;

	return at ? at - 1 : code->count;
}

/* A search for what a register holds, backwards along every way: the open ends are an instruction and a register. */
struct trace {
	const struct code *code;
	struct pile pile;
	uint16_t *seen;
	struct code_values found;
};

static void add_value(struct code_values *found, uint64_t value)
{
	size_t i = 0;

	while (i < found->count && found->values[i] < value)
		i++;
	if (i < found->count && found->values[i] == value)
		return;
	if (found->count == CODE_VALUES_MAX) {
		found->why = CODE_MANY;
		return;
	}
	memmove(found->values + i + 1, found->values + i, (found->count - i) * sizeof(found->values[0]));
	found->values[i] = value;
	found->count++;
}

static void give_up(struct trace *trace, enum code_why why)
{
	if (trace->found.why == CODE_KNOWN)
		trace->found.why = why;
}

/* Is this where instructions meet that nothing was seen to lead to? Then a jump that was not understood may. */
static bool is_way_in(const struct code *code, size_t index)
{
	const struct insn *insn = &code->insns[index];
	bool behind = false, beside = false;

	for (int32_t e = code->befores[index]; e >= 0; e = code->edges[e].next) {
		const struct insn *before = &code->insns[code->edges[e].from];

		if (before->address + before->size == insn->address)
			behind = true;
		else
			beside = true;
	}
	return !behind && (!beside || code->unclear);
}

static int go_back(struct trace *trace, size_t index, uint8_t reg)
{
	const struct code *code = trace->code;

	if (trace->seen[index] & (1u << reg))
		return 0;
	trace->seen[index] |= (uint16_t)(1u << reg);
	if (code->insns[index].address == code->start)
		give_up(trace, CODE_ENTRY);
	else if (is_way_in(code, index))
		give_up(trace, CODE_JUMP);
	for (int32_t e = code->befores[index]; e >= 0; e = code->edges[e].next) {
		if (pile_add(&trace->pile, (uint64_t)code->edges[e].from << 8 | reg))
			return -ENOMEM;
	}
	return 0;
}

static bool lost_in_call(const struct insn *insn, uint8_t reg)
{
	/* what a function may change: all but %rbx, %rbp, %rsp and %r12 to %r15 */
	return insn->kind == INSN_CALL && !(0xf038u & (1u << reg));
}

static int step(struct trace *trace, size_t index, uint8_t reg)
{
	const struct insn *insn = &trace->code->insns[index];

	if (lost_in_call(insn, reg)) {
		give_up(trace, CODE_CALL);
		return 0;
	}
	if (insn->move != MOVE_NONE && insn->to == reg) {
		if (insn->move == MOVE_REGISTER)
			return go_back(trace, index, insn->from);
		if (insn->move == MOVE_CONSTANT)
			add_value(&trace->found, insn->value);
		else
			give_up(trace, CODE_MEMORY);
		return 0;
	}
	if (insn->writes & (1u << reg)) {
		give_up(trace, CODE_COMPUTED);
		return 0;
	}
	return go_back(trace, index, reg);
}

/**
 * code_trace() - what a register may hold when an instruction is come to
 * @code:       the function
 * @index:      the instruction
 * @reg:        the register
 * @ret_values: the answer
 *
 * Return: 0 or -ENOMEM.
 */
int code_trace(const struct code *code, size_t index, uint8_t reg, struct code_values *ret_values)
{
	struct trace trace = { .code = code, .seen = calloc(code->count + 1, sizeof(uint16_t)) };
	int err = trace.seen ? go_back(&trace, index, reg) : -ENOMEM;

	while (!err && trace.pile.count > 0) {
		uint64_t item = trace.pile.items[--trace.pile.count];

		err = step(&trace, item >> 8, item & 0xff);
	}
	free(trace.seen);
	free(trace.pile.items);
	if (!err)
		*ret_values = trace.found;
	return err;
}

/* May an instruction be moved elsewhere? */
static bool is_movable(const struct code *code, size_t index)
{
	return index < code->count && !code->insns[index].fixed;
}

/* Does something lead to an instruction otherwise than from the one before it? */
static bool is_target(const struct code *code, size_t index)
{
	const struct insn *insn = &code->insns[index];

	for (int32_t e = code->befores[index]; e >= 0; e = code->edges[e].next) {
		const struct insn *before = &code->insns[code->edges[e].from];

		if (jumps(before) && before->target == insn->address)
			return true;
	}
	return is_way_in(code, index) && insn->address != code->start;
}

/* The instruction that ends where another begins; with instructions that overlap there may be none to be sure of. */
static size_t before(const struct code *code, size_t index)
{
	size_t found = code->count;

	for (int32_t e = code->befores[index]; e >= 0; e = code->edges[e].next) {
		const struct insn *insn = &code->insns[code->edges[e].from];

		if (insn->address + insn->size == code->insns[index].address && falls_through(insn))
			found = code->edges[e].from;
	}
	return found;
}

/**
 * code_room() - could instructions around one make room for a jump to elsewhere?
 * @code:        the function
 * @index:       the instruction
 * @need:        bytes that the jump takes
 * @ret_address: where it would stand
 * @ret_size:    bytes of the instructions that it would replace, whole ones
 *
 * None of them may be one whose meaning depends on its place, and nothing may lead into their middle.
 */
bool code_room(const struct code *code, size_t index, size_t need, uint64_t *ret_address, size_t *ret_size)
{
	size_t first = index, size = code->insns[index].size;
	uint64_t end = code->insns[index].address + size;

	while (size < need) {
		size_t next = code_find(code, end);

		if (!is_movable(code, next) || is_target(code, next))
			break;
		size += code->insns[next].size;
		end += code->insns[next].size;
	}
	while (size < need && !is_target(code, first)) {
		size_t previous = before(code, first);

		if (!is_movable(code, previous))
			break;
		first = previous;
		size += code->insns[first].size;
	}
	if (size < need)
		return false;
	*ret_address = code->insns[first].address;
	*ret_size = size;
	return true;
}

/**
 * code_why_text() - why the number of a system call cannot be told
 * @why: the reason
 *
 * Return: a sentence without its end; NULL for CODE_KNOWN.
 */
const char *code_why_text(enum code_why why)
{
	static const char *const texts[] = {
		[CODE_ENTRY] = "its number is what the function is entered with",
		[CODE_MEMORY] = "its number is loaded from memory",
		[CODE_COMPUTED] = "its number is computed",
		[CODE_CALL] = "its number is what another function leaves",
		[CODE_JUMP] = "its number is set before a jump that cannot be followed",
		[CODE_MANY] = "its number is one of too many",
	};

	return texts[why];
}
