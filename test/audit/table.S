/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reached by a jump whose target is in a table, and by an exception: nothing else leads there. */
	.text
	.type	switch, @function
switch:
	lea	1f(%rip), %rdx
	movslq	(%rdx,%rdi,4), %rax
	add	%rdx, %rax
	jmp	*%rax
2:	mov	$3, %eax
	syscall
	cmp	$-4096, %rax
	ret
3:	mov	$39, %eax
	syscall
	ret
	.size	switch, . - switch
	.type	landing, @function
landing:
	.cfi_startproc
	.cfi_lsda 0x1b, 1f
	ret
	mov	$3, %eax
	syscall
	cmp	$-4096, %rax
	ret
	.cfi_endproc
	.size	landing, . - landing
	.section .rodata
1:	.long	2b - 1b, 3b - 1b
