/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two ways lead to one call: all numbers count, and the worst of them. */
	.text
	.type	both, @function
both:
	test	%edi, %edi
	mov	$2, %eax
	je	1f
	mov	$257, %eax
1:	syscall
	cmp	$-4096, %rax
	ret
	.size	both, . - both
	.type	mild, @function
mild:
	test	%edi, %edi
	je	1f
	mov	$1, %eax
	jmp	2f
1:	xor	%eax, %eax
2:	syscall
	ret
	.size	mild, . - mild
	.type	unset, @function
unset:
	test	%edi, %edi
	je	1f
	mov	$1, %eax
1:	syscall
	ret
	.size	unset, . - unset
