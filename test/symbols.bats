#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What libcprshim.so shows to the process that it is preloaded into: the hooks, and nothing that could meet QEMU's own names.

bats_require_minimum_version 1.5.0

setup() {
	export LC_ALL=C
	srcdir=${CPRSHIM_SRCDIR:-$BATS_TEST_DIRNAME/..}
	shim=${SHIM:-${CPRSHIM_BUILDDIR:-$srcdir}/.libs/libcprshim.so}
}

@test "libcprshim.so exports the symbols of hooks.def and nothing else" {
	sh "$srcdir/scripts/gen-map.sh" "$srcdir/state/hooks.def" --list >"$BATS_TEST_TMPDIR/expected"
	nm -D --defined-only "$shim" | awk '{ print $NF }' | sort >"$BATS_TEST_TMPDIR/exported"
	diff -u "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/exported"
}

@test "every exported symbol is a function" {
	run -0 sh -c 'nm -D --defined-only "$1" | awk "\$2 != \"T\""' sh "$shim"
	echo "$output"
	[ -z "$output" ]
}

@test "each symbol of hooks.def is libc's" {
	libc=$(ldd "$shim" | awk '$1 == "libc.so.6" { print $3 }')
	nm -D --defined-only "$libc" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u >"$BATS_TEST_TMPDIR/libc"
	sh "$srcdir/scripts/gen-map.sh" "$srcdir/state/hooks.def" --list >"$BATS_TEST_TMPDIR/hooks"
	run -0 comm -23 "$BATS_TEST_TMPDIR/hooks" "$BATS_TEST_TMPDIR/libc"
	echo "$output"
	[ -z "$output" ]
}

@test "hooks.def uses each number once" {
	run -0 sh -c 'sed -n "s/^HOOK(\([^,]*\),.*/\1/p" "$1" | sort | uniq -d' sh "$srcdir/state/hooks.def"
	echo "$output"
	[ -z "$output" ]
}

@test "thread-local variables need no __tls_get_addr, which may call malloc" {
	run -0 nm -D --undefined-only "$shim"
	[[ $output != *__tls_get_addr* ]]
	run -0 readelf --wide --relocs "$shim"
	[[ $output != *DTPMOD* && $output != *DTPOFF* && $output != *TLSDESC* ]]
}

@test "there are no text relocations" {
	run -0 readelf --wide --dynamic "$shim"
	[[ $output != *TEXTREL* ]]
}

@test "the library is bound at start and never unloaded" {
	run -0 readelf --wide --dynamic "$shim"
	[[ $output == *NODELETE* ]]
	[[ $output == *NOW* ]]
}

@test "what it needs cannot meet QEMU's own copies: libc and libraries with versioned symbols" {
	run -0 sh -c 'readelf --wide --dynamic "$1" | sed -n "s/.*NEEDED.*\[\(.*\)\]/\1/p" | sort' sh "$shim"
	echo "$output"
	for library in $output; do
		[[ $library =~ ^(libc\.so\.6|libjansson\.so\.4|libpthread\.so\.0|libdl\.so\.2)$ ]]
	done
}

@test "every symbol that it takes from jansson is versioned" {
	run -0 nm -D --undefined-only --with-symbol-versions "$shim"
	while read -r _ symbol; do
		[[ $symbol != json_* || $symbol == *@* ]] || { echo "$symbol"; false; }
	done <<<"$output"
}

@test "every descriptor kind has its row in docs/descriptor-kinds.md" {
	local kind

	while read -r kind; do
		grep -qF "\`$kind\`" <(grep '^|' "$srcdir/docs/descriptor-kinds.md") || { echo "$kind"; false; }
	done < <(sed -n 's/^FDKIND(.*"\(.*\)")$/\1/p' "$srcdir/state/fdkind.def")
	[ "$(grep -c '^FDKIND(' "$srcdir/state/fdkind.def")" -gt 20 ]
}

# quick_exit has two versions; glibc's dlsym() once gave the oldest of them (versions that a program was linked with are newer).
@test "dlsym() finds the default version of each hooked function" {
	local libc

	libc=$(ldd "$shim" | awk '$1 == "libc.so.6" { print $3 }')
	sh "$srcdir/scripts/gen-map.sh" "$srcdir/state/hooks.def" --list >"$BATS_TEST_TMPDIR/hooks"
	nm -D --defined-only --with-symbol-versions "$libc" >"$BATS_TEST_TMPDIR/libc"
	run -0 python3 - "$BATS_TEST_TMPDIR/hooks" "$BATS_TEST_TMPDIR/libc" <<-'END'
		import ctypes, os, sys
		hooks = open(sys.argv[1]).read().split()
		default = {}
		for address, _, name in (line.split() for line in open(sys.argv[2])):
		    if "@@" in name:
		        default[name.split("@@")[0]] = int(address, 16)
		libc = ctypes.CDLL("libc.so.6")
		found = {name: ctypes.cast(getattr(libc, name), ctypes.c_void_p).value for name in hooks}
		base = found["close"] - default["close"]
		wrong = [name for name in hooks if found[name] - base != default[name]]
		print(len(hooks), wrong)
		sys.exit(bool(wrong))
	END
	[[ $output == *" []" ]]
}

@test "each static probe of cprshim(7) is there, no other is, and each costs a nop" {
	local names addresses address

	names=$(sed -n '/^.Sh PROBES/,/^.Sh FILES/s/^.It Li //p' "$srcdir/docs/cprshim.7" | sort)
	[ "$names" = "$(readelf -nW "$shim" | awk '/Provider: cprshim$/ { ours = 1 } /Name:/ && ours { print $2; ours = 0 }' | sort -u)" ]
	addresses=$(readelf -nW "$shim" | sed -n 's/.*Location: 0x0*\([0-9a-f]*\),.*Semaphore: 0x0*$/\1/p')
	[ "$(wc -w <<<"$addresses")" -ge "$(wc -w <<<"$names")" ]
	for address in $addresses; do
		objdump -d --no-show-raw-insn --start-address="0x$address" --stop-address="$((16#$address + 1))" "$shim" |
			grep -qE "^ +$address:[[:space:]]+nop"
	done
}

@test "every test that docs/pitfalls.md names is there" {
	run -0 python3 - "$srcdir" <<-'END'
		import re, sys
		top = sys.argv[1]
		names = wrong = 0
		for line in open(top + "/docs/pitfalls.md"):
		    parts = re.split(r"(\w+\.bats)", line.split("|")[2] if line.startswith("| ") else "")
		    for file, text in zip(parts[1::2], parts[2::2]):
		        tests = [x for x in open(top + "/test/" + file) if x.startswith("@test ") or x.startswith("\t")]
		        for name in re.findall(r'"([^"]*)"', text):
		            names += 1
		            if not any("@test" in x and name in x for x in tests):
		                wrong += 1
		                print(f"{file} has no test \"{name}\"")
		print(names, "names")
		sys.exit(bool(wrong) or names < 40)
	END
	echo "$output"
}
