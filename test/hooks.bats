#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The hooks, in programs that the shim takes for a VMM (test/programs/): results and errno are what they are without the shim,
# and whenever nothing is under way the published table and the kernel agree. Then what the shim must not do: reach children
# or programs that are no VMM, give its own descriptors up, or lock up in a forked child. test/preload.bats has other libraries.

bats_require_minimum_version 1.5.0

load lib/common
load lib/programs

setup() {
	setup_vm_dir
	setup_programs
}

teardown() {
	teardown_vm_dir
}

# --- one family of calls each

@test "open and its kin: results, errno and table" {
	same_with_and_without open
}

@test "dup, close and close_range: results, errno and table; the shim's own descriptors stay open" {
	same_with_and_without dup
}

@test "mmap, madvise and memfd_create: guest RAM is a memfd, MADV_DONTNEED frees and zeroes" {
	same_with_and_without memory
}

@test "sockets, connections and SCM_RIGHTS: results, errno and table" {
	same_with_and_without socket
}

@test "event descriptors, terminals and taps: results, errno and table" {
	# A namespace of its own, where a tap may be made and nothing of it stays.
	run_as plain event unshare -n env -u LD_PRELOAD
	run_as shimmed event unshare -n env EXPECT_TABLE=yes "CPRSHIM_RUNDIR=$VM_DIR/run" "LD_PRELOAD=$SHIM"
	diff -u "$VM_DIR/plain.out" "$VM_DIR/shimmed.out"
	grep -qx 'TUNSETIFF: 0' "$VM_DIR/shimmed.out"
}

@test "fork, clone, vfork and posix_spawn: a child that closes every number leaves the table alone" {
	same_with_and_without children
	grep -qxF 'LD_PRELOAD=(unset)' "$VM_DIR/shimmed.out"
	grep -qx 'spawned: 1792' "$VM_DIR/shimmed.out"
}

# --- many at once

@test "64 threads open, duplicate and close at once: table and kernel agree afterwards" {
	run_shimmed threads
	grep -qx 'rounds were done: 1' "$VM_DIR/shimmed.out"
}

@test "threads do what they like, libc and liburing with them: nothing unknown or stale but what goes past the hooks" {
	run_shimmed random
	# Each kind was there while all stood still; those of popen(), tmpfile() and liburing are the ones without a record.
	run -0 sed -n 's/^seen at rest: //p' "$VM_DIR/shimmed.err"
	[[ $output =~ ^[1-9][0-9]*\ descriptors,\ [1-9][0-9]*\ streams,\ [1-9][0-9]*\ folders,\ [1-9][0-9]*\ mappings,\ [1-9] ]]
	[[ $output =~ [1-9][0-9]*\ children,\ [1-9][0-9]*\ temporary\ files,\ [1-9][0-9]*\ rings$ ]]
}

@test "children forked while 64 threads are in hooks do not hang" {
	export THREADS_MODE=fork
	run_shimmed threads
}

@test "children of vfork() and posix_spawn() while 64 threads are in hooks leave the table alone" {
	export THREADS_MODE=vfork
	run_shimmed threads
}

@test "threads cancelled in the middle of a hook leave nothing locked" {
	export THREADS_MODE=cancel
	run_shimmed threads
}

@test "close() in a signal handler that interrupted a hook does not hang" {
	export THREADS_MODE=signal
	run_shimmed threads
	grep -qx 'rounds were done: 1' "$VM_DIR/shimmed.out"
}

# --- what children and other programs see

# child_preload VALUE: what a child of a VMM that was started with this LD_PRELOAD finds in its environment.
child_preload() {
	export CTOR_QUIET=1
	run_shimmed children "$1"
	sed -n 's/^LD_PRELOAD=//p' "$VM_DIR/shimmed.out"
}

@test "the user's own LD_PRELOAD reaches children byte for byte, ours does not" {
	local own=$VM_DIR/own.so other=$VM_DIR/other.so

	cp "$programs/.libs/ctor.so" "$own"
	cp "$programs/.libs/ctor.so" "$other"
	[ "$(child_preload "$SHIM")" = '(unset)' ]
	[ "$(child_preload "$own:$SHIM")" = "$own" ]
	[ "$(child_preload "$SHIM:$own")" = "$own" ]
	[ "$(child_preload "$own $SHIM")" = "$own" ]
	[ "$(child_preload "$SHIM $own")" = "$own" ]
	[ "$(child_preload "$own:$SHIM:$other")" = "$own:$other" ]
	[ "$(child_preload "$own $SHIM:$other")" = "$own $other" ]
	[ "$(child_preload "$own:$other $SHIM")" = "$own:$other" ]
	[ "$(child_preload "$SHIM:$own $other")" = "$own $other" ]
	[ "$(child_preload "$own::$other:$SHIM")" = "$own::$other" ]
	[ "$(child_preload "$SHIM:$own:$SHIM")" = "$own" ]
}

@test "an ifup script of a real VM sees the user's LD_PRELOAD and none of the shim's descriptors" {
	local own=$VM_DIR/own.so

	cp "$programs/.libs/ctor.so" "$own"
	cat >"$VM_DIR/ifup" <<-END
		#!/bin/bash
		{ echo "preload=\$LD_PRELOAD"; grep -c libcprshim /proc/\$\$/maps; ls -l /proc/\$\$/fd; } >"$VM_DIR/ifup.out" 2>/dev/null
	END
	chmod +x "$VM_DIR/ifup"
	VM_WRAPPER=(unshare -n)
	CTOR_QUIET=1 SHIM="$own $SHIM" boot_guest -netdev "tap,id=n0,ifname=tap9,script=$VM_DIR/ifup,downscript=no" \
		-device virtio-net-pci,netdev=n0
	cat "$VM_DIR/ifup.out"
	[ "$(sed -n 1p "$VM_DIR/ifup.out")" = "preload=$own" ]
	[ "$(sed -n 2p "$VM_DIR/ifup.out")" = 0 ]
	[ "$(grep -c ' -> ' "$VM_DIR/ifup.out")" -gt 2 ]
	run -1 grep -E 'memfd|socket:|anon_inode| 7[0-9][0-9] -> ' "$VM_DIR/ifup.out"
	cprctl_status | jq -e '.blockers == [] and ([.descriptors[] | select(.kind == "tap")] | length) == 1'
}

@test "a program that is no VMM: environment, descriptors, threads, handlers are what they were" {
	cat >"$VM_DIR/look" <<-'END'
		#!/bin/bash
		env | grep -v '^_=' | sort
		ls -l /proc/$$/fd | awk 'NR > 1 { print $9 }'
		grep -E '^(Threads|SigCgt|SigBlk|SigIgn)' /proc/$$/status
		ls "$CPRSHIM_RUNDIR"
		echo "maps of the shim: $(grep -c libcprshim /proc/$$/maps)"
	END
	chmod +x "$VM_DIR/look"
	export CPRSHIM_RUNDIR=$VM_DIR/run
	LD_PRELOAD="$SHIM" bash "$VM_DIR/look" >"$VM_DIR/with" 3>&- 4>&-
	bash "$VM_DIR/look" >"$VM_DIR/without" 3>&- 4>&-
	grep -qx "maps of the shim: 0" "$VM_DIR/without"
	grep -qx "maps of the shim: [1-9]*" "$VM_DIR/with"
	diff -u <(grep -v "^maps of" "$VM_DIR/without") <(grep -vE "^maps of|^LD_PRELOAD=$SHIM$" "$VM_DIR/with")
	grep -qxF "LD_PRELOAD=$SHIM" "$VM_DIR/with"
}

# calls PRELOAD: "count call" for each system call of prog_dup and prog_socket under a name that is no VMM's.
calls() {
	local name

	for name in dup socket; do
		(
			close_bats_descriptors
			mkdir -p "$VM_DIR/work"
			cd "$VM_DIR/work" || exit
			LD_PRELOAD=$1 strace -f -qq -o "$VM_DIR/trace" "$programs/prog_$name" >/dev/null
		)
		# From the first call of main() on: what comes before is ld.so's work, which has one more library to load.
		sed -n '/signalfd/,$p' "$VM_DIR/trace" | sed 's/^[0-9]* *//; s/(.*//' | sort | uniq -c | awk '{ print $1, $2 }'
	done
}

@test "a program that is no VMM makes not one system call more" {
	calls "" >"$VM_DIR/without"
	calls "$SHIM" >"$VM_DIR/with"
	[ "$(wc -l <"$VM_DIR/without")" -gt 10 ]
	diff -u "$VM_DIR/without" "$VM_DIR/with"
}

@test "a QEMU that is asked for its version, help or capabilities is left alone" {
	local args

	export CPRSHIM_RUNDIR=$VM_DIR/run CPRSHIM_LOG=debug CPRSHIM_LOGFILE=$VM_DIR/inert.log
	for args in -version --version -h "-M help" "-machine help" "-cpu help" "-device help" "-netdev help" "-accel help"; do
		# shellcheck disable=SC2086 # two words
		LD_PRELOAD=$SHIM "$QEMU_OLD" $args >"$VM_DIR/with" 2>&1 </dev/null
		# shellcheck disable=SC2086
		"$QEMU_OLD" $args >"$VM_DIR/without" 2>&1 </dev/null
		diff -u "$VM_DIR/without" "$VM_DIR/with"
	done
	[ ! -e "$VM_DIR/inert.log" ]
	[ -z "$(ls -A "$VM_DIR/run")" ]
}

@test "a QEMU with -machine none, as libvirt asks for capabilities, has no thread, handler or descriptor of ours" {
	start_vm -S -no-user-config -nodefaults -machine none,accel=tcg
	# SIGUSR2 is bit 11 of the caught ones.
	[ $((0x$(awk '/^SigCgt/ { print $2 }' "/proc/$VM_PID/status") >> 11 & 1)) = 0 ]
	[ "$(cat "/proc/$VM_PID/task"/*/comm | grep -c cprshim)" = 0 ]
	[ "$(find "/proc/$VM_PID/fd" -lname '*memfd:cprshim*' | wc -l)" = 0 ]
	[ -z "$(ls -A "$VM_DIR/run")" ]
}

# --- odd beginnings

@test "started with stdin, stdout and stderr closed: the shim's messages reach no file of QEMU's" {
	local before

	truncate -s 1M "$VM_DIR/disk.raw"
	(
		close_bats_descriptors
		exec strace -f -qq -e trace=write,execve -o "$VM_DIR/writes" env LD_PRELOAD="$SHIM" CPRSHIM_LOG=debug \
			"CPRSHIM_RUNDIR=$VM_DIR/run" "$VM_DIR/qemu-system-x86_64" -nodefaults -display none -vga none -m 64 \
			-machine accel=tcg -qmp "unix:$VM_CTL,server=on,wait=off" -pidfile "$VM_DIR/pid" \
			-drive "if=none,id=d0,format=raw,file=$VM_DIR/disk.raw" <&- >&- 2>&-
	) &
	STARTED+=($!)
	wait_for 20 vm_ctl query-status
	VM_PID=$(cat "$VM_DIR/pid")
	STARTED+=("$VM_PID")
	known_and_open
	before=$(wc -l <"$VM_DIR/open")
	for _ in 1 2; do
		update_vm
		# The old QEMU's files at 0 to 2 did not come along.
		known_and_open
		[ "$(wc -l <"$VM_DIR/open")" = "$before" ]
		[ "$(find "/proc/$VM_PID/fd" -type l -lname "$VM_DIR/pid" | wc -l)" = 1 ]
	done
	[ "$(tr -d '\0' <"$VM_DIR/disk.raw" | wc -c)" = 0 ]
	grep -q execve "$VM_DIR/writes"
	run -1 grep -F 'write(2, "cprshim[' "$VM_DIR/writes"
}

@test "a limit on open files below the shim's numbers, set while the VM runs: refused, and updated once it is raised" {
	boot_guest
	prlimit --pid "$VM_PID" --nofile=256:4096
	! update_vm || false
	jq -e '.outcome == "refused" and (.reasons | length >= 1 and all(contains(": Too many open files: ")))' \
		<<<"$UPDATE_RESULT"
	guest_alive
	prlimit --pid "$VM_PID" --nofile=4096:4096
	update_vm
	guest_alive
}

@test "the highest limit on open files slows nothing down" {
	local begin

	ulimit -n "$(ulimit -Hn)"
	begin=$(date +%s)
	run_shimmed dup
	boot_guest
	update_vm
	[ $(($(date +%s) - begin)) -lt 30 ]
}

# --- a real VM

# known_and_open: the numbers that the table knows are those that are open and not the shim's own. A connection may be about to be
# closed between the two looks.
known_and_open() {
	wait_for 5 known_is_open 2>/dev/null || known_is_open
}

known_is_open() {
	cprctl_status | jq '.descriptors[].fd' | sort -n >"$VM_DIR/known"
	find "/proc/$VM_PID/fd" -type l -printf '%f\n' | sort -n | awk '$1 < 700' >"$VM_DIR/open"
	# Guest RAM is the shim's own and recorded; QEMU's end of the private monitor is recorded too, at a high number.
	awk '$1 < 700' "$VM_DIR/known" | diff -u - "$VM_DIR/open"
}

@test "the table of a real VM and its process's descriptors agree, also after an update and hot-plug" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -drive "if=virtio,format=qcow2,file=$VM_DIR/disk.qcow2" -vnc "unix:$VM_DIR/vnc.sock" \
		-serial "file:$VM_DIR/second.log" -D "$VM_DIR/qemu-d.log" -d guest_errors -chardev pty,id=p0 -serial chardev:p0
	known_and_open
	[ "$(wc -l <"$VM_DIR/open")" -gt 10 ]
	vm_ctl "$(jq -cn --arg out "$VM_DIR/extra.log" \
		'{execute: "chardev-add", arguments: {id: "extra", backend: {type: "file", data: {out: $out}}}}')"
	known_and_open
	cprctl_status | jq -e '[.descriptors[] | select(.detail | tostring | endswith("extra.log"))] | length == 1'
	vm_ctl '{"execute": "chardev-remove", "arguments": {"id": "extra"}}'
	known_and_open
	update_vm
	known_and_open
	cprctl_status | jq -e '[.descriptors[] | select(.detail | tostring | endswith("second.log"))] | length == 1'
}
