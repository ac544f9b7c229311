/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* No names but unwinding tables, which are all that stripping leaves; the last ones end before the call. */
	.text
	.cfi_startproc
	mov	$3, %eax
	syscall
	cmp	$-4096, %rax
	ret
	.cfi_endproc
	.balign	16
	.cfi_startproc
	mov	$435, %eax
	.cfi_endproc
	syscall
	test	%eax, %eax
	ret
	.balign	16
	.cfi_startproc
	.cfi_signal_frame
	nop
	mov	$15, %eax
	syscall
	.cfi_endproc
