/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What looks like a call and is none: behind a jump over it, and in the middle of an instruction. */
	.text
	.type	over, @function
over:
	jmp	1f
	.byte	0x0f, 0x05
1:	ret
	.size	over, . - over
	.type	inside, @function
inside:
	mov	$0x050f, %eax
	ret
	.size	inside, . - inside
	.type	after_return, @function
after_return:
	ret
	.byte	0x0f, 0x05, 0xcd, 0x80
	.size	after_return, . - after_return
