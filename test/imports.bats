#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every function that QEMU, its modules and all their libraries import from libc is hooked, needs no hook for a reason that
# is written down, or has nothing to do with descriptors, mappings, signals and processes. glibc grows new names for old
# calls (fcntl64, __openat_2): a hook that such a name goes around would miss descriptors without a word.

bats_require_minimum_version 1.5.0

setup_file() {
	export LC_ALL=C
	srcdir=${CPRSHIM_SRCDIR:-$BATS_TEST_DIRNAME/..}
	qemu7=${CPRSHIM_QEMU7:-/usr/bin/qemu-system-x86_64}
	qemu10=${CPRSHIM_QEMU10:-}
	export srcdir qemu7 qemu10
	hooked >"$BATS_FILE_TMPDIR/hooked"
	listed "$srcdir/shim/nohook.list" >"$BATS_FILE_TMPDIR/nohook"
	listed "$srcdir/test/unrelated-symbols.list" >"$BATS_FILE_TMPDIR/unrelated"
}

hooked() {
	sh "$srcdir/scripts/gen-map.sh" "$srcdir/state/hooks.def" --list
}

# listed FILE: the names of a list, in its order.
listed() {
	sed -e '/^#/d' -e '/^$/d' -e 's/[[:space:]].*//' "$1"
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

# imports FILE...: "symbol file" for each name bound to a version of glibc's.
imports() {
	local object

	for object in "$@"; do
		nm -D --undefined-only --with-symbol-versions "$object" |
			awk -v object="${object##*/}" '$NF ~ /@GLIBC_/ { sub(/@.*/, "", $NF); print $NF, object }'
	done
}

# check_imports BINARY: fails with each name that nobody has thought about, and who imports it.
check_imports() {
	local found unknown=0 symbol all

	mapfile -t found < <(objects "$1")
	[ "${#found[@]}" -gt 20 ] || { echo "only ${#found[@]} objects found from $1"; return 1; }
	all=$(imports "${found[@]}")
	sort -u "$BATS_FILE_TMPDIR/hooked" "$BATS_FILE_TMPDIR/nohook" "$BATS_FILE_TMPDIR/unrelated" >"$BATS_TEST_TMPDIR/known"
	cut -d' ' -f1 <<<"$all" | sort -u >"$BATS_TEST_TMPDIR/imported"
	echo "$(wc -l <"$BATS_TEST_TMPDIR/imported") names imported by ${#found[@]} objects"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/imported")" -gt 400 ]
	while read -r symbol; do
		unknown=1
		echo "$symbol is neither in state/hooks.def nor in shim/nohook.list nor in test/unrelated-symbols.list; imported by" \
			"$(awk -v symbol="$symbol" '$1 == symbol { print $2 }' <<<"$all" | sort -u | head -n 5 | tr '\n' ' ')"
	done < <(comm -23 "$BATS_TEST_TMPDIR/imported" "$BATS_TEST_TMPDIR/known")
	return $unknown
}

@test "the distribution's QEMU, its modules and libraries import no libc function that nobody has thought about" {
	[ -x "$qemu7" ] || skip "no $qemu7"
	run -0 ldd "$qemu7"
	[[ $output != *"not found"* ]]
	check_imports "$qemu7"
}

@test "QEMU 10.0, its modules and libraries import no libc function that nobody has thought about" {
	[ -n "$qemu10" ] && [ -x "$qemu10" ] || skip "no QEMU 10.0 (scripts/fetch-qemu) at '$qemu10'"
	run -0 ldd "$qemu10"
	[[ $output != *"not found"* ]]
	check_imports "$qemu10"
}

@test "an imported name that is in no list is found" {
	cat >"$BATS_TEST_TMPDIR/stranger.c" <<-'END'
		#include <mqueue.h>
		mqd_t stranger(void) { return mq_open("/x", 0); }
	END
	"${CC:-cc}" -shared -fPIC -o "$BATS_TEST_TMPDIR/stranger.so" "$BATS_TEST_TMPDIR/stranger.c"
	run -0 imports "$BATS_TEST_TMPDIR/stranger.so"
	[[ $output == *"mq_open stranger.so"* ]]
	! grep -qx mq_open "$BATS_FILE_TMPDIR/hooked" "$BATS_FILE_TMPDIR/nohook" "$BATS_FILE_TMPDIR/unrelated" || false
}

@test "each name stands in one list only, once" {
	run -0 sh -c 'sort "$1"/hooked "$1"/nohook "$1"/unrelated | uniq -d' sh "$BATS_FILE_TMPDIR"
	echo "$output"
	[ -z "$output" ]
}

@test "each name that needs no hook has its reason" {
	run -1 grep -nvE '^(#.*|[A-Za-z_][A-Za-z0-9_]* +[^ ].{3,}|)$' "$srcdir/shim/nohook.list"
	[ -z "$output" ]
}
