/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disasm.h - what one x86-64 instruction does, as far as system calls are concerned.
 *
 * disasm.c is an object of its own (disasm.so): it brings a whole disassembler with it, which is loaded only where it is
 * used. Nothing of that disassembler is seen outside: QEMU links another copy, whose symbols have no versions.
 */
#ifndef CPRSHIM_AUDIT_DISASM_H
#define CPRSHIM_AUDIT_DISASM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Registers by their numbers in machine code; <signal.h> has other numbers under shorter names. */
enum {
	CODE_REG_RAX,
	CODE_REG_RCX,
	CODE_REG_RDX,
	CODE_REG_RBX,
	CODE_REG_RSP,
	CODE_REG_RBP,
	CODE_REG_RSI,
	CODE_REG_RDI,
	CODE_REG_R8,
	CODE_REG_COUNT = 16,
	CODE_REG_NONE = 255,
};

enum insn_kind {
	INSN_OTHER,
	INSN_SYSCALL,
	INSN_SYSENTER,
	INSN_INT80,
	INSN_JUMP,	    /* to target, always */
	INSN_BRANCH,	    /* to target, or not */
	INSN_JUMP_INDIRECT, /* to what a register or memory says */
	INSN_CALL,	    /* target is 0 where a register or memory says */
	INSN_RETURN,
	INSN_TRAP, /* never goes on: ud2, hlt */
};

/* How a register gets a value that can be told. */
enum insn_move {
	MOVE_NONE,
	MOVE_CONSTANT, /* value */
	MOVE_REGISTER, /* from another one */
	MOVE_MEMORY,   /* it is loaded: not told, but known for what it is */
};

/**
 * struct insn - facts about an instruction
 * @address:	where it stands
 * @size:	its bytes
 * @kind:	enum insn_kind
 * @move:	enum insn_move
 * @to:		with @move, the register that it is about
 * @from:	with MOVE_REGISTER, where the value comes from
 * @fixed:	it must stay where it is: its meaning depends on its address, it is jumped to from elsewhere, or it is a
 *		system call of its own
 * @own_at:	where in it a displacement of 32 bits from its own end stands; 0 where there is none. Without any other
 *		reason for @fixed it may be moved if that is adjusted
 * @vsyscall:	it names one of the three functions of the vsyscall page: which, from 1; else 0
 * @writes:	a bit for each register that it changes
 * @target:	where a jump, branch or call leads
 * @value:	with MOVE_CONSTANT
 */
struct insn {
	uint64_t address;
	uint8_t size, kind, move, to, from, own_at, vsyscall;
	bool fixed;
	uint16_t writes;
	uint64_t target, value;
};

/**
 * struct disasm_api - what disasm.so offers
 * @version:	DISASM_VERSION; another one is refused
 * @name:	of the disassembler
 * @open:	0 or negative errno
 * @decode:	the instruction at @code; false where there is none
 * @close:	done
 */
struct disasm_api {
	unsigned int version;
	const char *name;
	int (*open)(void);
	bool (*decode)(const uint8_t *code, size_t len, uint64_t address, struct insn *ret);
	void (*close)(void);
};

/* The page of kernel code that is mapped at the same address in every process: gettimeofday, time and getcpu. */
#define VSYSCALL_PAGE 0xffffffffff600000ull
#define VSYSCALL_STEP 0x400u

#define DISASM_VERSION 2
#define DISASM_SYMBOL  "cprshim_disasm"

#endif
