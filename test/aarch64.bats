#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# aarch64.bats - a build for aarch64 hosts, run by QEMU's emulation of a process (qemu-aarch64): hooks and table do there what they do
# here, in the programs of hooks.bats and in a real QEMU; an audit reads imports; what is not available says so.

bats_require_minimum_version 1.5.0

load lib/common
load lib/programs

AARCH64=$CPRSHIM_BUILDDIR/aarch64
SYSROOT=$AARCH64/sysroot

setup_file() {
	"$CPRSHIM_SRCDIR/scripts/build-aarch64" "$AARCH64"
}

setup() {
	setup_vm_dir
	programs=$AARCH64/test/programs
}

teardown() { teardown_vm_dir; }

# emulated [-E NAME=VALUE...] PROGRAM...: the program, built for aarch64; -E is for its environment.
emulated() {
	qemu-aarch64 -L "$SYSROOT" "$@"
}

# emulated_with_and_without NAME [COMMAND...]: as same_with_and_without; by a command that ends in the emulator.
emulated_with_and_without() {
	run_as plain "$1" "${@:2}" qemu-aarch64 -L "$SYSROOT"
	run_as shimmed "$1" "${@:2}" qemu-aarch64 -L "$SYSROOT" -E EXPECT_TABLE=yes -E "CPRSHIM_RUNDIR=$VM_DIR/run" \
		-E "LD_PRELOAD=$AARCH64/.libs/libcprshim.so"
	[ "$(wc -l <"$VM_DIR/plain.out")" -ge 2 ]
	diff -u "$VM_DIR/plain.out" "$VM_DIR/shimmed.out"
}

@test "program, library and disassembler are built for aarch64, with the same names" {
	local file

	readelf -h "$AARCH64/cprctl" | grep -q 'Machine: *AArch64'
	for file in .libs/libcprshim.so .libs/disasm.so; do
		readelf -h "$AARCH64/$file" | grep -q 'Machine: *AArch64'
		# The same names, and none more.
		diff <(nm -D --defined-only "$CPRSHIM_BUILDDIR/$file" | awk '{ print $NF }') \
			<(nm -D --defined-only "$AARCH64/$file" | awk '{ print $NF }')
	done
	[ "$(emulated "$AARCH64/cprctl" --version)" = "$("$CPRCTL" --version)" ]
}

@test "the unit tests" {
	local file count=0

	for file in "$AARCH64"/test/unit/test_*; do
		[ -x "$file" ] && [ -f "$file" ] || continue
		CPRSHIM_SRCDIR=$CPRSHIM_SRCDIR emulated "$file" >"$VM_DIR/tap" || cat "$VM_DIR/tap"
		fails grep '^not ok' "$VM_DIR/tap"
		grep -q '^ok' "$VM_DIR/tap"
		count=$((count + 1))
	done
	[ "$count" -gt 10 ]
}

# prog_random is not here: qemu-aarch64 7.2 remembers what kind a descriptor was that close_range() has closed, and translates the next
# one's messages accordingly.
@test "hooks: results, errno and table" {
	local name

	for name in open dup memory socket children threads; do
		emulated_with_and_without "$name"
	done
	emulated_with_and_without event unshare -n
}

@test "a real QEMU: table and descriptors agree, guest RAM is in memfds; an update is refused, and it goes on" {
	start_background "$VM_LOG" qemu-aarch64 -L "$SYSROOT" -E "LD_PRELOAD=$AARCH64/.libs/libcprshim.so" \
		-E "CPRSHIM_RUNDIR=$VM_DIR/run" "$SYSROOT/usr/bin/qemu-system-aarch64" -M virt -accel tcg -S -nodefaults -display none \
		-m 64 -L "$SYSROOT/usr/share/qemu" -vnc "unix:$VM_DIR/vnc.sock" -qmp "unix:$VM_CTL,server=on,wait=off" -pidfile "$VM_DIR/pid"
	VM_PID=$!
	wait_for 30 vm_answers_or_ended
	[ "$(cat "$VM_DIR/pid")" = "$VM_PID" ]
	wait_for 10 test -S "$VM_DIR/run/$VM_PID.sock"
	known_and_open
	do_qmp chardev-add "{id: \"extra\", backend: {type: \"file\", data: {out: \"$VM_DIR/extra.log\"}}}"
	start_link viewer "$VM_DIR/vnc.sock"
	wait_link 5 viewer RFB
	known_and_open
	cprctl_status | jq -e '[.descriptors[] | select(.detail | tostring | endswith("extra.log"))] | length == 1'
	cprctl_status | jq -e '[.descriptors[] | select(.kind == "guest-ram")] | length > 0'
	do_qmp chardev-remove '{id: "extra"}'
	known_and_open

	run -1 --separate-stderr ctl update --json "$VM_PID"
	jq -e '.outcome == "refused" and any(.blockers[]; .code == "host-processor")' <<<"$output"
	vm_ctl query-status | jq -e '.status == "prelaunch"'
	known_and_open
}

@test "audit of an aarch64 QEMU: imports are read there and here, raw system calls are not available; for x86-64 they are there too" {
	local qemu=$SYSROOT/usr/bin/qemu-system-aarch64 libraries=$SYSROOT/usr/lib/aarch64-linux-gnu:$SYSROOT/lib/aarch64-linux-gnu libc

	emulated "$AARCH64/cprctl" audit --json --modules --library-path "$libraries" "$qemu" >"$VM_DIR/there"
	"$CPRCTL" audit --json --modules --library-path "$libraries" "$qemu" >"$VM_DIR/here"
	# The dynamic loader that the program names is there alone.
	diff <(jq .imports "$VM_DIR/here") <(jq .imports "$VM_DIR/there")
	jq -e '.imports.unknown == [] and (.imports.hooked | length > 60) and (.files | length > 50)' "$VM_DIR/there"
	jq -e 'all(.files[]; .machine == "aarch64" and .not_looked_at == "raw system calls are not available for this processor")' "$VM_DIR/there"
	run -0 emulated "$AARCH64/cprctl" audit "$qemu"
	[[ $output == *"not looked at: $qemu: raw system calls are not available for this processor"* ]]

	libc=$(ldd "$(command -v bash)" | awk '$1 == "libc.so.6" { print $3 }')
	emulated "$AARCH64/cprctl" audit --json "$libc" >"$VM_DIR/there"
	"$CPRCTL" audit --json "$libc" >"$VM_DIR/here"
	cmp "$VM_DIR/here" "$VM_DIR/there"
	jq -e '.sites | length > 300' "$VM_DIR/there"
}
