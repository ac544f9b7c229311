/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * entrypatch.S - what test/unit/test_entrypatch.c holds shim/entrypatch.c against: functions as they are, and what stands in
 * their place once their entries were displaced, each as the assembler and the linker write it.
 *
 *	before NAME [, N]	a function; its entry is N bytes behind its beginning (endbr64)
 *	after NAME		ends it; what follows is what becomes of the displaced instructions
 *	left NAME, WHY		ends one that must be left alone
 */
	.set	hook, 0x1122334455667788

	.macro	before name, entry=0
	.text
	.balign	16
before_\name:
	.set	at_\name, before_\name + \entry
	.endm

	.macro	record name, island, why
	.section .rodata
1:	.asciz	"\name"
2:	.asciz	"\why"
	.section .data.rel.ro, "aw"
	.balign	8
	.quad	1b, before_\name, end_\name - before_\name, at_\name, \island, 2b
	.endm

	.macro	after name
end_\name:
	record	\name, after_\name, ""
	/* A section of its own: a jump between two never gets a short form. */
	.section .text.islands, "ax"
	.balign	64, 0xcc
after_\name:
	jmp	*3f(%rip)
3:	.quad	hook
	.balign	16, 0xcc
	endbr64
	.endm

	.macro	left name, why
end_\name:
	record	\name, 0, "\why"
	.endm

	.section .data.rel.ro, "aw"
	.balign	8
	.globl	patterns
patterns:

/* --- glibc's, 2.36 */

	before	dup
	mov	$0x20, %eax
	syscall
	cmp	$-4095, %rax
	jae	1f
	ret
1:	or	$-1, %eax
	ret
	after	dup
	mov	$0x20, %eax
	jmp	before_dup + 5

	before	close
	cmpb	$0, variable(%rip)
	je	1f
	mov	$3, %eax
	syscall
	ret
1:	push	%rbx
	pop	%rbx
	ret
	after	close
	cmpb	$0, variable(%rip)
	jmp	before_close + 7

	before	mmap
	mov	%ecx, %r10d
	test	$0xfff, %r9d
	jne	1f
	mov	$9, %eax
	syscall
1:	ret
	after	mmap
	mov	%ecx, %r10d
	test	$0xfff, %r9d
	jmp	before_mmap + 10

	before	open64
	push	%rbp
	mov	%esi, %r10d
	mov	%rdi, %rbp
	push	%rbx
	mov	%esi, %ebx
	sub	$0x68, %rsp
	add	$0x68, %rsp
	pop	%rbx
	pop	%rbp
	ret
	after	open64
	push	%rbp
	mov	%esi, %r10d
	mov	%rdi, %rbp
	jmp	before_open64 + 7

	before	pipe
	xor	%esi, %esi
	mov	$0x125, %eax
	syscall
	ret
	after	pipe
	xor	%esi, %esi
	mov	$0x125, %eax
	jmp	before_pipe + 7

	before	fcntl64
	sub	$0x68, %rsp
	mov	%rdx, 0x40(%rsp)
	mov	%fs:0x28, %rax
	add	$0x68, %rsp
	ret
	after	fcntl64
	sub	$0x68, %rsp
	mov	%rdx, 0x40(%rsp)
	jmp	before_fcntl64 + 9

/* --- with the mark of an entry, which stays where it is */

	before	marked, 4
	endbr64
	mov	$0x20, %eax
	syscall
	ret
	after	marked
	mov	$0x20, %eax
	jmp	before_marked + 9

	before	marked_and_own_address, 4
	endbr64
	cmpb	$0, variable(%rip)
	je	1f
	nop
1:	ret
	after	marked_and_own_address
	cmpb	$0, variable(%rip)
	jmp	before_marked_and_own_address + 11

/* --- others that can be displaced */

	before	own_addresses
	push	%rbx
	push	%rbp
	lea	variable(%rip), %rbx
	movl	$0x12345678, variable + 4(%rip)
	pop	%rbp
	pop	%rbx
	ret
	after	own_addresses
	push	%rbx
	push	%rbp
	lea	variable(%rip), %rbx
	jmp	before_own_addresses + 9

	before	immediate_behind
	movl	$0x12345678, variable(%rip)
	ret
	after	immediate_behind
	movl	$0x12345678, variable(%rip)
	jmp	before_immediate_behind + 10

	before	longest
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	movabs	$0x1122334455667788, %rax
	pop	%rbx
	pop	%rdx
	pop	%rcx
	pop	%rax
	ret
	after	longest
	push	%rax
	push	%rcx
	push	%rdx
	push	%rbx
	movabs	$0x1122334455667788, %rax
	jmp	before_longest + 14

	before	loop_behind
	mov	$8, %ecx
1:	dec	%ecx
	jne	1b
	ret
	after	loop_behind
	mov	$8, %ecx
	jmp	before_loop_behind + 5

/* --- to be left alone */

	before	jump
	jmp	before_dup
	left	jump, "there is a jump at its entry"

	before	jump_by_table
	jmp	*variable(%rip)
	.byte	0x06, 0x06
	left	jump_by_table, "there is a jump at its entry"

	before	branch
	test	%edi, %edi
	je	1f
	mov	$3, %eax
1:	ret
	left	branch, "there is a jump at its entry"

	before	marked_jump, 4
	endbr64
	jmp	before_dup
	left	marked_jump, "there is a jump at its entry"

	before	call
	push	%rbx
	call	before_dup
	pop	%rbx
	ret
	left	call, "there is a call at its entry"

	before	system_call
	mov	%edi, %eax
	syscall
	ret
	left	system_call, "there is a system call at its entry"

	before	short
	mov	%edi, %eax
	ret
	nop
	nop
	left	short, "it is too short"

	before	cut
	mov	%edi, %eax
	left	cut, "it is too short"

	before	trap
	ud2
	nop
	nop
	nop
	left	trap, "it is too short"

	before	into_it
	push	%rbx
1:	push	%rbp
	dec	%edi
	mov	$3, %eax
	jne	1b
	ret
	left	into_it, "it jumps to its own entry"

	before	to_the_beginning
	mov	$3, %eax
	dec	%edi
	jne	before_to_the_beginning
	ret
	left	to_the_beginning, "it jumps to its own entry"

	before	calls_itself, 4
	endbr64
	mov	$3, %eax
	call	before_calls_itself
	ret
	left	calls_itself, "it jumps to its own entry"

	before	table
	mov	$3, %eax
	jmp	*%rdx
	left	table, "it has a jump whose target is not known"

	before	second_mark
	push	%rbx
	endbr64
	ret
	left	second_mark, "an instruction at its entry has to stay where it is"

	before	no_code_at_all
	.byte	0x06, 0x06, 0x06, 0x06, 0x06, 0x06
	left	no_code_at_all, "its code is not understood"

	before	no_code
	mov	$3, %eax
	.byte	0x06
	ret
	left	no_code, "its code is not understood"

	.section .text.islands, "ax"
	.balign	64, 0xcc

	.section .data.rel.ro, "aw"
	.quad	0, 0, 0, 0, 0, 0

	.data
variable:
	.quad	0

	.section .note.GNU-stack, "", @progbits
