/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Behind a jump; and one with a jump to right behind it, so that there is no room for another instruction. */
	.text
	.type	behind, @function
behind:
	mov	$33, %eax
	jmp	1f
	ud2
1:	syscall
	cmp	$-4096, %rax
	ret
	.size	behind, . - behind
	.type	tight, @function
tight:
	mov	$3, %eax
1:	syscall
2:	mov	$3, %eax
	test	%edi, %edi
	je	2b
	jmp	1b
	.size	tight, . - tight
	.type	before, @function
before:
	mov	$3, %eax
	syscall
	ret
	.size	before, . - before
	.type	relative, @function
relative:
	mov	$3, %eax
	mov	number(%rip), %edi
	syscall
	ret
	.size	relative, . - relative
number:	.long	0
