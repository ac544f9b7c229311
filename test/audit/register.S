/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The number comes out of a register: one that is kept over a call, one that is not, an argument, memory. */
	.text
	.type	kept, @function
kept:
	push	%rbx
	mov	$257, %ebx
	call	other
	mov	%ebx, %eax
	syscall
	pop	%rbx
	ret
	.size	kept, . - kept
	.type	lost, @function
lost:
	mov	$257, %eax
	call	other
	syscall
	ret
	.size	lost, . - lost
	.type	argument, @function
argument:
	mov	%edi, %eax
	syscall
	ret
	.size	argument, . - argument
	.type	memory, @function
memory:
	mov	(%rdi), %eax
	syscall
	ret
	.size	memory, . - memory
	.type	partial, @function
partial:
	mov	$257, %eax
	mov	$3, %al
	syscall
	ret
	.size	partial, . - partial
	.type	other, @function
other:
	ret
	.size	other, . - other
