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

@test "threads do what they like, libc and rings with them: nothing unknown or stale but what is known to go past the hooks" {
	# What libc does on its own behalf is not to be seen here, whoever runs the tests (raw.bats has the rest).
	unset CPRSHIM_RAW
	run_shimmed random
	# Each kind was there while all stood still.
	run -0 sed -n 's/^seen at rest: //p' "$VM_DIR/shimmed.err"
	[[ $output =~ ^[1-9][0-9]*\ descriptors,\ [1-9][0-9]*\ streams,\ [1-9][0-9]*\ folders,\ [1-9][0-9]*\ mappings$ ]]
	# A line for each reason why table and kernel may differ, and no other.
	sed -n 's/^allowed [1-9][0-9]* times: //p' "$VM_DIR/shimmed.err" | sort | diff -u - <(
		cat <<-'END'
			stale: it was closed past the hooks, which nothing tells the table
			unknown: a ring is made by a raw system call
			unknown: a ring opened or accepted it
			unknown: popen() makes its pipe inside libc
			unknown: posix_openpt() opens inside libc
			unknown: tmpfile() opens inside libc
		END
	)
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
		# Not through a pipe, which this shell itself may still have.
		ls /proc/$$/fd
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

# disk_io DISK: QEMU itself writes to the disk and reads it back, as its guest would. It tells on stdout what came of it.
disk_io() {
	local command before

	for command in "write -P 7 0 64k" "read -P 7 0 64k"; do
		before=$(disk_answers)
		do_qmp human-monitor-command "{\"command-line\": \"qemu-io $1 \\\"$command\\\"\"}"
		[ "$(disk_answers)" -gt "$before" ]
	done
	fails grep 'Pattern verification failed' "$VM_LOG"
}

disk_answers() {
	grep -c ' 65536/65536 bytes' "$VM_LOG" || true
}

# clients_come_and_go: at each listener; table and kernel agree while they are there, and when they have gone.
clients_come_and_go() {
	local clients=() client

	come vnc "$VM_DIR/vnc.sock"
	wait_link 5 vnc RFB
	come spice "$VM_DIR/spice.sock"
	send_link spice "$SPICE_LINK"
	wait_link 5 spice REDQ
	come qmp "$VM_QMP"
	wait_link 5 qmp '"QMP"'
	[ ! -S "$VM_DIR/added.sock" ] || come added "$VM_DIR/added.sock"
	known_and_open
	for client in "${clients[@]}"; do
		end_process "$client"
	done
	known_and_open
}

come() {
	start_link "$@"
	clients+=("${STARTED[-1]}")
}

# session_of old|new|11: a VM's life in that version of QEMU, up to an update by each method and beyond it.
session_of() {
	local disk

	use_qemu "$1"
	make_netns
	for disk in first second; do
		truncate -s 16M "$VM_DIR/$disk.raw"
	done
	boot_guest -M pc-i440fx-7.2 -smp 2 -object iothread,id=io0 -object iothread,id=io1 \
		-spice "unix=on,addr=$VM_DIR/spice.sock,disable-ticketing=on" -vnc "unix:$VM_DIR/vnc.sock" -device qxl-vga \
		-drive "if=none,id=disk0,format=raw,cache=none,aio=io_uring,file=$VM_DIR/first.raw" \
		-device virtio-blk-pci,drive=disk0,iothread=io0 -device virtio-scsi-pci,id=scsi0,iothread=io1 \
		-device virtio-serial-pci -chardev spicevmc,id=agent,name=vdagent \
		-device virtserialport,chardev=agent,name=com.redhat.spice.0
	start_serial_client
	known_and_open
	[ "$(wc -l <"$VM_DIR/open")" -gt 20 ]
	disk_io disk0
	known_and_open
	[ -s "$VM_DIR/unseen" ]
	clients_come_and_go

	do_qmp blockdev-add "{driver: \"raw\", \"node-name\": \"disk1\", cache: {direct: true},
		file: {driver: \"file\", filename: \"$VM_DIR/second.raw\", aio: \"io_uring\"}}"
	do_qmp device_add '{driver: "scsi-hd", drive: "disk1", id: "hd1", bus: "scsi0.0"}'
	known_and_open
	disk_io "-d hd1"
	known_and_open
	do_qmp netdev_add "{type: \"tap\", id: \"net1\", ifname: \"$TAP\", script: \"no\", downscript: \"no\"}"
	do_qmp device_add '{driver: "virtio-net-pci", netdev: "net1", id: "nic1"}'
	known_and_open
	do_qmp chardev-add "{id: \"added\", backend: {type: \"socket\", data: {
		addr: {type: \"unix\", data: {path: \"$VM_DIR/added.sock\"}}, server: true, wait: false}}}"
	do_qmp device_add '{driver: "virtserialport", chardev: "added", id: "port1"}'
	known_and_open
	clients_come_and_go

	update_by_ctl --method relay
	known_and_open
	disk_io disk0
	disk_io "-d hd1"
	clients_come_and_go
	update_by_ctl --method exec
	known_and_open
	disk_io disk0
	disk_io "-d hd1"
	clients_come_and_go

	do_qmp device_del '{id: "hd1"}'
	wait_for 5 do_qmp blockdev-del '{"node-name": "disk1"}'
	do_qmp device_del '{id: "port1"}'
	wait_for 5 do_qmp chardev-remove '{id: "added"}'
	known_and_open
	stop_serial_client
}

@test "a whole session of QEMU 7.2: SPICE, VNC, io_uring, I/O threads, hot-plug, relay, exec: table and kernel agree after each step" {
	session_of old
	[ "$(vm_version)" = 7.2 ]
}

@test "a whole session of QEMU 10.0: the same" {
	# Its built-in path leads to the modules of 7.2.
	QEMU_MODULE_DIR=${QEMU_NEW%/bin/*}/lib/x86_64-linux-gnu/qemu session_of new
	[ "$(vm_version)" = 10.0 ]
}

@test "a whole session of QEMU 11.1: the same" {
	session_of 11
	[ "$(vm_version)" = 11.1 ]
}
