#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every function that QEMU, its modules and all their libraries import from libc is hooked, needs no hook for a reason that
# is written down, or has nothing to do with descriptors, mappings, signals and processes. glibc grows new names for old
# calls (fcntl64, __openat_2): a hook that such a name goes around would miss descriptors without a word.
#
# The lists are state/hooks.def, nohook.def and unrelated.def, and "cprctl audit" knows them; here it is asked.

bats_require_minimum_version 1.5.0
load lib/common

setup() {
	VM_DIR=$BATS_TEST_TMPDIR
}

# names KIND: the names that the answer lists as that.
names() {
	jq -r --arg kind "$1" '.imports[$kind][].name' "$VM_DIR/answer"
}

# objects BINARY: the binary, its modules, and every library that they load, but glibc's own files: what one part of glibc
# asks of another is not bound through a hook's name.
objects() {
	local prefix=${1%/bin/*} object

	for object in "$1" "$prefix"/lib/x86_64-linux-gnu/qemu/*.so; do
		[ -e "$object" ] || continue
		echo "$object"
		ldd "$object" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }'
	done | sort -u | grep -vE '/(libc|libm|libdl|librt|libpthread|libresolv|libutil|libanl|ld-linux-x86-64)\.so\.[0-9]+$'
}

# imports FILE...: each name that is bound to a version of glibc's, as binutils and the loader see it.
imports() {
	nm -D --undefined-only --with-symbol-versions "$@" | awk '$NF ~ /@GLIBC_/ { sub(/@.*/, "", $NF); print $NF }' | sort -u
}

# check_imports BINARY [OPTION...]: fails with each name that nobody has thought about, and who imports it.
check_imports() {
	"$CPRCTL" audit --json --modules "$@" >"$VM_DIR/answer"
	jq -r '.imports.unknown[] | "\(.name) is neither in state/hooks.def nor in state/nohook.def nor in state/unrelated.def; " +
		"imported by \(.by | join(" "))"' "$VM_DIR/answer" >"$VM_DIR/unknown"
	cat "$VM_DIR/unknown"
	[ ! -s "$VM_DIR/unknown" ]
}

# compare_with_nm BINARY: what has been looked at is what ldd and nm find.
compare_with_nm() {
	local found

	mapfile -t found < <(objects "$1")
	[ "${#found[@]}" -gt 20 ] || { echo "only ${#found[@]} objects found from $1"; return 1; }
	imports "${found[@]}" >"$VM_DIR/theirs"
	[ "$(wc -l <"$VM_DIR/theirs")" -gt 400 ]
	for kind in hooked without_hook unrelated; do
		names "$kind"
	done | sort -u >"$VM_DIR/ours"
	diff "$VM_DIR/theirs" "$VM_DIR/ours"
}

@test "the distribution's QEMU, its modules and libraries import no libc function that nobody has thought about" {
	run -0 ldd "$QEMU_OLD"
	[[ $output != *"not found"* ]]
	check_imports "$QEMU_OLD"
	compare_with_nm "$QEMU_OLD"
}

@test "QEMU 10.0, its modules and libraries import no libc function that nobody has thought about" {
	[ -x "$QEMU_NEW" ] || skip "no QEMU 10.0 (scripts/fetch-qemu) at '$QEMU_NEW'"
	run -0 ldd "$QEMU_NEW"
	[[ $output != *"not found"* ]]
	check_imports "$QEMU_NEW"
	compare_with_nm "$QEMU_NEW"
}

@test "QEMU 11.1, its modules and libraries import no libc function that nobody has thought about" {
	local prefix
	[ -x "$QEMU_11" ] || skip "no QEMU 11.1 (scripts/fetch-qemu) at '$QEMU_11'"
	# The file beside this script, with the libraries that it gives the loader: another glibc's.
	prefix=$(dirname "$(realpath "$QEMU_11")")/usr
	check_imports "$prefix/bin/qemu-system-x86_64" --library-path "$prefix/lib/x86_64-linux-gnu"
	[ "$(jq '.files | length' "$VM_DIR/answer")" -gt 50 ]
	run -0 jq -r '.files[] | select(.path | endswith("/libc.so.6")) | .path' "$VM_DIR/answer"
	[ "$output" = "$prefix/lib/x86_64-linux-gnu/libc.so.6" ]
}

@test "an imported name that is in no list is found, and one without a hook has its reason" {
	cat >"$VM_DIR/stranger.c" <<-'END'
		#include <fcntl.h>
		#include <mqueue.h>
		#include <stdlib.h>
		#include <unistd.h>
		mqd_t stranger(void) { system(""); close(abs(-1)); return mq_open("/x", 0); }
	END
	"${CC:-cc}" -O0 -shared -fPIC -o "$VM_DIR/stranger.so" "$VM_DIR/stranger.c"
	"$CPRCTL" audit --json "$VM_DIR/stranger.so" >"$VM_DIR/answer"
	[ "$(names unknown)" = mq_open ]
	[ "$(names hooked)" = close ]
	[ "$(jq -r '.imports.without_hook[] | "\(.name): \(.reason)"' "$VM_DIR/answer")" = \
		"system: runs a child to its end; its descriptors are the child's" ]
	run -0 "$CPRCTL" audit "$VM_DIR/stranger.so"
	[[ $output == *"  mq_open, imported by $VM_DIR/stranger.so: nobody has looked whether it needs a hook"* ]]
	run -0 "$CPRCTL" audit --all "$VM_DIR/stranger.so"
	[[ $output == *"  system: runs a child to its end; its descriptors are the child's"* ]]
}

@test "each name stands in one list only, once" {
	run -0 sh -c 'sed -nE "s/^(HOOK\([0-9]+, |NOHOOK\(|UNRELATED\()([A-Za-z0-9_]+).*/\2/p" "$1"/state/hooks.def \
		"$1"/state/nohook.def "$1"/state/unrelated.def | sort | uniq -d' sh "$CPRSHIM_SRCDIR"
	echo "$output"
	[ -z "$output" ]
}

@test "each name that needs no hook has its reason" {
	run -1 grep -nvE '^(/?[ *].*|NOHOOK\([A-Za-z_][A-Za-z0-9_]*, "[^"]{4,}"\)|)$' "$CPRSHIM_SRCDIR/state/nohook.def"
	[ -z "$output" ]
}
