#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the bare-metal guest of another target: build-target.sh SRC TARGET OUT; with clang, which compiles for all of them, and the
# target's own linker.
set -euo pipefail

if [ $# -ne 3 ]; then
	echo "usage: $0 SRC TARGET OUT" >&2
	exit 2
fi

case $2 in
aarch64) tuple=aarch64-linux-gnu base=0x40200000 flags=(-mgeneral-regs-only) ;;
ppc64) tuple=powerpc64-linux-gnu base=0x400000 flags=(-mabi=elfv2 -mno-altivec -mno-vsx -msoft-float) ;;
riscv64) tuple=riscv64-linux-gnu base=0x80200000 flags=(-march=rv64imac -mabi=lp64 -mno-relax -mcmodel=medany) ;;
s390x) tuple=s390x-linux-gnu base=0x10000 flags=(-march=z10 -msoft-float) ;;
*) echo "$0: unknown target $2" >&2; exit 2 ;;
esac
"${CLANG:-clang}" --target="$tuple" -std=gnu11 -Wall -Wextra -O1 -ffreestanding -fno-pic -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-builtin "${flags[@]}" -c -o "$3.o" "$1"
"$tuple-ld" -nostdlib -static --build-id=none -z noexecstack -z max-page-size=4096 -e _start -o "$3" "$3.o" -T /dev/stdin <<-END
	SECTIONS
	{
		. = $base;
		.text : { *(.start) *(.text*) *(.rodata*) *(.srodata*) *(.sdata*) }
		/DISCARD/ : { *(.comment) *(.note*) *(.riscv.attributes) *(.eh_frame) }
	}
END
rm -f "$3.o"
