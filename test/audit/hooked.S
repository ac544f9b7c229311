/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Under a name that is hooked, which others can be bound to; and under one that they cannot. */
	.text
	.globl	close
	.type	close, @function
close:
	mov	$3, %eax
	syscall
	cmp	$-4096, %rax
	ret
	.size	close, . - close
	.type	dup, @function
dup:
	mov	$32, %eax
	syscall
	cmp	$-4096, %rax
	ret
	.size	dup, . - dup
	.globl	ioctl, __ioctl
	.type	ioctl, @function
	.type	__ioctl, @function
__ioctl:
ioctl:
	mov	%r9d, %eax
	syscall
	cmp	$-4096, %rax
	ret
	.size	ioctl, . - ioctl
	.size	__ioctl, . - __ioctl
