/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other ways into the kernel: the vsyscall page, and the two of 32-bit programs, whose numbers mean other calls. */
	.text
	.type	page, @function
page:
	mov	$0xffffffffff600400, %rax
	call	*%rax
	ret
	.size	page, . - page
	.type	page_memory, @function
page_memory:
	call	*0xffffffffff600800
	ret
	.size	page_memory, . - page_memory
	.type	gate, @function
gate:
	mov	$6, %eax
	int	$0x80
	cmp	$-4096, %rax
	ret
	.size	gate, . - gate
	.type	enter, @function
enter:
	mov	$20, %eax
	sysenter
	ret
	.size	enter, . - enter
