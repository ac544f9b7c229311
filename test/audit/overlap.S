/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Instructions that share bytes: a prefix that is jumped over, and a call that hides in a constant. */
	.text
	.type	prefix, @function
prefix:
	mov	$3, %eax
	test	%edi, %edi
	je	1f
	lock
1:	addl	$1, (%rsi)
	syscall
	cmp	$-4096, %rax
	ret
	.size	prefix, . - prefix
	.type	hidden, @function
hidden:
	mov	$3, %eax
	jmp	1f + 1
1:	mov	$0xc390050f, %edx
	ret
	.size	hidden, . - hidden
