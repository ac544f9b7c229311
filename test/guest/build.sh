#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the bare-metal test guest: build.sh SRC OUT [FLAG]; the compiler is $CC or gcc, and needs no 32-bit headers.
set -euo pipefail

if [ $# -lt 2 ]; then
	echo "usage: $0 SRC OUT [FLAG]" >&2
	exit 2
fi

# noseparate-code and no build id: the multiboot header must lie in the first 8 KiB of the file.
"${CC:-gcc}" -std=gnu11 -Wall -Wextra -O2 -m32 -march=i686 -mgeneral-regs-only -ffreestanding -fno-pic \
	-fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
	-nostdlib -static -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,noexecstack \
	-Wl,-T,"$(dirname "$1")/guest.ld" -o "$2" "$1" "${@:3}"
