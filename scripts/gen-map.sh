#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# gen-map.sh HOOKS.DEF [--list] - linker version script that exports the hooked symbols and nothing else, on stdout; with
# --list the symbols alone, sorted, one a line.
set -eu
export LC_ALL=C

def=$1
symbols=$(sed -n 's/^[[:space:]]*HOOK([^,]*,[[:space:]]*\([A-Za-z_][A-Za-z0-9_]*\)[[:space:]]*[,)].*/\1/p' "$def" | sort)

if [ -z "$symbols" ]; then
	echo "gen-map.sh: $def has no HOOK() line" >&2
	exit 1
fi
if [ -n "$(echo "$symbols" | uniq -d)" ]; then
	echo "gen-map.sh: $def names twice:" "$(echo "$symbols" | uniq -d)" >&2
	exit 1
fi
if [ "${2-}" = --list ]; then
	echo "$symbols"
	exit 0
fi
echo "/* made from $(basename "$def") by gen-map.sh */"
echo "{"
echo "global:"
echo "$symbols" | sed 's/.*/	&;/'
echo "local:"
echo "	*;"
echo "};"
