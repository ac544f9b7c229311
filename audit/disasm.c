/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disasm.c - disasm.so: instructions decoded by libcapstone. The only file that includes capstone.
 *
 * capstone's own options and hooks are those of a whole process (CS_OPT_MEM): none is used.
 */
#include "disasm.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <string.h>

extern const struct disasm_api cprshim_disasm;

static csh handle;
static cs_insn *scratch;

/* Part of a register counts as the whole: what writes %al changes %rax. By their numbers in machine code. */
static const uint16_t registers[CODE_REG_COUNT][5] = {
	{ X86_REG_RAX, X86_REG_EAX, X86_REG_AX, X86_REG_AL, X86_REG_AH },
	{ X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL, X86_REG_CH },
	{ X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL, X86_REG_DH },
	{ X86_REG_RBX, X86_REG_EBX, X86_REG_BX, X86_REG_BL, X86_REG_BH },
	{ X86_REG_RSP, X86_REG_ESP, X86_REG_SP, X86_REG_SPL },
	{ X86_REG_RBP, X86_REG_EBP, X86_REG_BP, X86_REG_BPL },
	{ X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL },
	{ X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL },
	{ X86_REG_R8, X86_REG_R8D, X86_REG_R8W, X86_REG_R8B },
	{ X86_REG_R9, X86_REG_R9D, X86_REG_R9W, X86_REG_R9B },
	{ X86_REG_R10, X86_REG_R10D, X86_REG_R10W, X86_REG_R10B },
	{ X86_REG_R11, X86_REG_R11D, X86_REG_R11W, X86_REG_R11B },
	{ X86_REG_R12, X86_REG_R12D, X86_REG_R12W, X86_REG_R12B },
	{ X86_REG_R13, X86_REG_R13D, X86_REG_R13W, X86_REG_R13B },
	{ X86_REG_R14, X86_REG_R14D, X86_REG_R14W, X86_REG_R14B },
	{ X86_REG_R15, X86_REG_R15D, X86_REG_R15W, X86_REG_R15B },
};

static uint8_t numbers[X86_REG_ENDING];

static void number_registers(void)
{
	memset(numbers, CODE_REG_NONE, sizeof(numbers));
	for (unsigned int n = 0; n < CODE_REG_COUNT; n++) {
		for (size_t i = 0; i < 5 && registers[n][i] != X86_REG_INVALID; i++)
			numbers[registers[n][i]] = (uint8_t)n;
	}
}

static uint8_t number_of(unsigned int reg)
{
	return reg < X86_REG_ENDING ? numbers[reg] : CODE_REG_NONE;
}

static uint16_t written(const cs_insn *insn)
{
	cs_regs read, write;
	uint8_t reads, writes;
	uint16_t mask = 0;

	/* what cannot be told changes everything */
	if (cs_regs_access(handle, insn, read, &reads, write, &writes))
		return 0xffff;
	for (uint8_t i = 0; i < writes; i++) {
		uint8_t number = number_of(write[i]);

		if (number != CODE_REG_NONE)
			mask |= (uint16_t)(1u << number);
	}
	return mask;
}

static bool uses_own_address(const cs_x86 *x86)
{
	for (uint8_t i = 0; i < x86->op_count; i++) {
		if (x86->operands[i].type == X86_OP_MEM &&
		    (x86->operands[i].mem.base == X86_REG_RIP || x86->operands[i].mem.base == X86_REG_EIP))
			return true;
	}
	return false;
}

static uint8_t vsyscall_of(const cs_x86 *x86)
{
	for (uint8_t i = 0; i < x86->op_count; i++) {
		const cs_x86_op *op = &x86->operands[i];
		bool plain =
			op->type == X86_OP_MEM && op->mem.base == X86_REG_INVALID && op->mem.index == X86_REG_INVALID;
		uint64_t value = (uint64_t)(op->type == X86_OP_IMM ? op->imm : plain ? op->mem.disp : 0);

		for (uint8_t n = 0; n < 3; n++) {
			if (value == VSYSCALL_PAGE + n * VSYSCALL_STEP)
				return n + 1;
		}
	}
	return 0;
}

static bool is_conditional(const cs_insn *insn)
{
	return insn->id != X86_INS_JMP && insn->id != X86_INS_LJMP;
}

static void classify_jump(const cs_insn *insn, const cs_x86_op *op, struct insn *ret)
{
	ret->fixed = true;
	if (op->type != X86_OP_IMM) {
		ret->kind = INSN_JUMP_INDIRECT;
		return;
	}
	ret->kind = is_conditional(insn) ? INSN_BRANCH : INSN_JUMP;
	ret->target = (uint64_t)op->imm;
}

static void classify(const cs_insn *insn, struct insn *ret)
{
	const cs_x86_op *op = insn->detail->x86.operands;

	ret->fixed = uses_own_address(&insn->detail->x86);
	ret->own_at = ret->fixed ? insn->detail->x86.encoding.disp_offset : 0;
	ret->vsyscall = vsyscall_of(&insn->detail->x86);
	switch (insn->id) {
	case X86_INS_SYSCALL:
		ret->kind = INSN_SYSCALL;
		ret->fixed = true;
		return;
	case X86_INS_SYSENTER:
		ret->kind = INSN_SYSENTER;
		ret->fixed = true;
		return;
	case X86_INS_INT:
		ret->kind = op->imm == 0x80 ? INSN_INT80 : INSN_OTHER;
		ret->fixed = true;
		return;
	case X86_INS_CALL:
	case X86_INS_LCALL:
		ret->kind = INSN_CALL;
		ret->target = op->type == X86_OP_IMM ? (uint64_t)op->imm : 0;
		ret->fixed = true;
		return;
	case X86_INS_UD2:
	case X86_INS_HLT:
		ret->kind = INSN_TRAP;
		ret->fixed = true;
		return;
	case X86_INS_ENDBR64:
		ret->fixed = true;
		return;
	default:
		break;
	}
	if (cs_insn_group(handle, insn, X86_GRP_RET) || cs_insn_group(handle, insn, X86_GRP_IRET)) {
		ret->kind = INSN_RETURN;
		ret->fixed = true;
	} else if (cs_insn_group(handle, insn, X86_GRP_JUMP) || insn->id == X86_INS_LOOP || insn->id == X86_INS_LOOPE ||
		   insn->id == X86_INS_LOOPNE || insn->id == X86_INS_XBEGIN) {
		classify_jump(insn, op, ret);
	}
}

static void classify_move(const cs_insn *insn, struct insn *ret)
{
	const cs_x86_op *op = insn->detail->x86.operands;
	uint8_t to = insn->detail->x86.op_count == 2 && op[0].type == X86_OP_REG ? number_of(op[0].reg) : CODE_REG_NONE;

	/* a move of 8 or 16 bits leaves the rest of the register as it was */
	if (to == CODE_REG_NONE || op[0].size < 4)
		return;
	ret->to = to;
	if ((insn->id == X86_INS_XOR || insn->id == X86_INS_SUB) && op[1].type == X86_OP_REG &&
	    op[0].reg == op[1].reg) {
		ret->move = MOVE_CONSTANT;
	} else if (insn->id == X86_INS_MOV || insn->id == X86_INS_MOVABS) {
		ret->move = op[1].type == X86_OP_IMM   ? MOVE_CONSTANT
			    : op[1].type == X86_OP_REG ? MOVE_REGISTER
						       : MOVE_MEMORY;
		ret->value = op[1].type == X86_OP_IMM ? (uint64_t)op[1].imm : 0;
		ret->from = op[1].type == X86_OP_REG ? number_of(op[1].reg) : CODE_REG_NONE;
		if (ret->move == MOVE_CONSTANT && op[0].size == 4)
			ret->value = (uint32_t)ret->value;
		if (ret->move == MOVE_REGISTER && ret->from == CODE_REG_NONE)
			ret->move = MOVE_NONE;
	}
}

static bool decode(const uint8_t *code, size_t len, uint64_t address, struct insn *ret)
{
	struct insn insn = { .address = address, .to = CODE_REG_NONE, .from = CODE_REG_NONE };

	if (!cs_disasm_iter(handle, &code, &len, &address, scratch))
		return false;
	insn.size = (uint8_t)scratch->size;
	insn.writes = written(scratch);
	classify(scratch, &insn);
	/* the kernel's answer, and what the instruction itself keeps there */
	if (insn.kind == INSN_SYSCALL || insn.kind == INSN_SYSENTER || insn.kind == INSN_INT80)
		insn.writes |= 1u << CODE_REG_RAX | 1u << CODE_REG_RCX | 1u << 11;
	classify_move(scratch, &insn);
	*ret = insn;
	return true;
}

static void close_disasm(void)
{
	cs_free(scratch, 1);
	cs_close(&handle);
}

static int open_disasm(void)
{
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle))
		return -ENOTSUP;
	cs_option(handle, CS_OPT_DETAIL, CS_OPT_ON);
	number_registers();
	scratch = cs_malloc(handle);
	if (scratch)
		return 0;
	cs_close(&handle);
	return -ENOMEM;
}

__attribute__((visibility("default"))) const struct disasm_api cprshim_disasm = {
	.version = DISASM_VERSION,
	.name = "libcapstone",
	.open = open_disasm,
	.decode = decode,
	.close = close_disasm,
};
