/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes that are no instruction come before the call: it is there, and nothing more can be told. */
	.text
	.type	broken, @function
broken:
	mov	$3, %eax
	.byte	0x06
	syscall
	ret
	.size	broken, . - broken
