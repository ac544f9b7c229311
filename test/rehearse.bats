#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rehearse.bats - a new QEMU is brought up beside the running guest: what it finds, and that nothing outside it changes.

bats_require_minimum_version 1.5.0

load lib/common
load lib/network
load lib/linuxguest

# The method that rehearses, and has a way back. Others have tests of their own (relay.bats, transfer.bats).
export CPRSHIM_METHOD=exec

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

MACHINE=pc-q35-7.2

# What others see of the VM: its files, its interface's settings, its descriptors, sockets and images.
outside() {
	find "$VM_DIR" -maxdepth 1 ! -name '*.log' ! -name '*.json' ! -name '*.in' -printf '%P %i %s %T@\n' | sort
	offloads
	carrier_changes
	find "/proc/$VM_PID/fd" -type l -printf '%f %l\n' | sort -n
	ss -lxnH | grep -F "$VM_DIR" | awk '{ print $5, $6 }' | sort
}

@test "check --rehearse says yes, and changes nothing: logs, pidfile, listeners, tap, pty, disk, sessions" {
	make_netns
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -M $MACHINE "${TAP_ARGS[@]}" -pidfile "$VM_DIR/pidfile" -D "$VM_DIR/qemu-d" -d guest_errors \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk \
		-vnc "unix:$VM_DIR/vnc.sock" -serial "file:$VM_DIR/serial2" -serial pty \
		-chardev "socket,id=c,path=$VM_DIR/monitor.sock,server=on,wait=off" -mon chardev=c
	start_serial_client
	start_qmp_client
	start_link hmp "$VM_DIR/monitor.sock"
	wait_link 5 hmp '(qemu)'
	outside >"$VM_DIR/before.json"
	local i
	for i in 1 2 3; do
		run -0 ctl check --rehearse --binary "$QEMU_NEW" "$VM_PID"
		echo "$output"
		[[ "$output" == *"can be updated"* && "$output" != *"not rehearsed"* ]]
	done
	outside | diff "$VM_DIR/before.json" -
	has_no_child
	guest_alive
	# The images are still the running QEMU's: nobody else gets their lock.
	run -1 qemu-io -f qcow2 -c "write 0 64k" "$VM_DIR/disk.qcow2"
	stop_qmp_client >"$VM_DIR/summary.json"
	jq -e '.events == []' "$VM_DIR/summary.json"
	stop_serial_client
	[ "$(link_count hmp 'monitor - type')" = 1 ]
	update_vm new
	[ "$(jq '[.warnings[] | select(contains("rehearsed"))] | length' <<<"$UPDATE_RESULT")" = 0 ]
	guest_alive
}

@test "a new QEMU that has not the VM's device is found out before the guest is touched" {
	# What its ROM prints on the serial line may come in between.
	boot_guest -M $MACHINE -device sga || wait_for_guest 20
	start_qmp_client
	# The device ended with QEMU 8.0. Without a rehearsal it is found out while the guest stands still.
	run -0 ctl check --binary "$QEMU_NEW" "$VM_PID"
	run -1 ctl check --rehearse --binary "$QEMU_NEW" "$VM_PID"
	echo "$output"
	[[ "$output" == *"rehearsed: "*"sga"* ]]
	run -1 ctl update --json --binary "$QEMU_NEW" "$VM_PID"
	echo "$output"
	jq -e '.outcome == "refused" and (.reasons | length == 1) and (.reasons[0] | test("rehearsed: .*sga")) and (has("blackout_ms") | not)' \
		<<<"$output"
	stop_qmp_client >"$VM_DIR/summary.json"
	jq -e '.events == []' "$VM_DIR/summary.json"
	guest_alive
	vm_runs old
	run -1 ctl update --json --no-rehearse --binary "$QEMU_NEW" "$VM_PID"
	jq -e '.outcome == "failed" and has("blackout_ms")' <<<"$output"
	guest_alive
}

@test "a replacement that exits, crashes, is killed or hangs is found out before the guest is touched" {
	export CPRSHIM_TIMEOUT=3
	boot_guest -M $MACHINE
	mkdir "$VM_DIR/fake"
	cp "$CPRSHIM_BUILDDIR/test/programs/fakeqemu" "$VM_DIR/fake/qemu-system-x86_64"
	echo "$QEMU_NEW" >"$VM_DIR/fake/real"
	local mode
	for mode in exit quick return crash abort kill early-exit thread-overflow hang; do
		echo "$mode" >"$VM_DIR/fake/mode"
		run -1 ctl update --json --binary "$VM_DIR/fake/qemu-system-x86_64" "$VM_PID"
		echo "$mode: $output"
		jq -e '.outcome == "refused" and (.reasons[0] | test("rehearsed: "))' <<<"$output"
		has_no_child
		guest_alive
	done
	update_vm new
	guest_alive
}

# --- full: the device state is loaded too, while the guest stands still ---

# full [OPTIONS]: check --rehearse=full; the answer is in $output.
full() {
	run --separate-stderr ctl check --rehearse=full --json "$@" "$VM_PID"
	echo "$output $stderr" >&2
}

# A digest of all of the guest's memory, from the outside.
ram_digest() {
	local fd

	for fd in $(ctl status --json "$VM_PID" | jq '.ram[].fd'); do
		sha256sum <"/proc/$VM_PID/fd/$fd"
	done
}

@test "full: yes on 7.2 and 10.0, up and down; nothing outside changes, the blackout is told, no packet and no event" {
	make_netns
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -M $MACHINE "${TAP_ARGS[@]}" -pidfile "$VM_DIR/pidfile" -serial "file:$VM_DIR/serial2" -serial pty \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk \
		-device virtio-balloon-pci -vnc "unix:$VM_DIR/vnc.sock"
	start_serial_client
	start_qmp_client
	outside >"$VM_DIR/before.json"
	local target
	for target in "$QEMU_NEW" "$QEMU_OLD"; do
		full --binary "$target"
		[ "$status" -eq 0 ]
		jq -e '.ok and .warnings == [] and .rehearsal.kind == "full" and .rehearsal.blackout_ms > 0 and
			.rehearsal.blackout_ms < 1500 and (.rehearsal.not_rehearsed | length > 2) and
			.predicted_blackout.from == "rehearsal" and
			.predicted_blackout.ms > .rehearsal.blackout_ms' <<<"$output"
	done
	outside | diff "$VM_DIR/before.json" -
	has_no_child
	guest_alive
	run -1 qemu-io -f qcow2 -c "write 0 64k" "$VM_DIR/disk.qcow2"
	[ "$(update_count)" = 0 ]
	update_vm new
	for target in "$QEMU_NEW" "$QEMU_OLD"; do
		full --binary "$target"
		jq -e '.ok and .rehearsal.kind == "full"' <<<"$output"
	done
	guest_alive
	update_vm old
	guest_alive
	stop_qmp_client >"$VM_DIR/summary.json"
	jq -e '.events == []' "$VM_DIR/summary.json"
	stop_serial_client
}

@test "full: a successor that writes to all of the guest's memory does not reach it" {
	export CPRSHIM_FAULT=rehearsal-scribble
	boot_guest -M $MACHINE -m 256 -object memory-backend-memfd,id=mem0,size=64M,share=on -device pc-dimm,memdev=mem0 \
		-m 256,slots=2,maxmem=1G
	start_serial_client
	vm_ctl stop
	ram_digest >"$VM_DIR/ram.before"
	[ "$(sort -u "$VM_DIR/ram.before" | wc -l)" -gt 3 ]
	full --binary "$QEMU_NEW" --max-blackout 30000
	[ "$status" -eq 0 ]
	jq -e '.ok and .rehearsal.kind == "full"' <<<"$output"
	grep -q 'CPRSHIM_FAULT: fail at rehearsal-scribble' "$VM_DIR/shim.log"
	ram_digest | diff "$VM_DIR/ram.before" -
	[ "$(vm_state)" = paused ]
	vm_ctl cont
	guest_alive
	# And while it runs.
	full --binary "$QEMU_NEW" --max-blackout 30000
	[ "$status" -eq 0 ]
	[ "$(grep -c 'CPRSHIM_FAULT: fail at rehearsal-scribble' "$VM_DIR/shim.log")" = 2 ]
	guest_alive
	update_vm new
	guest_alive
	stop_serial_client
}

# found_by_full PATTERN [OPTIONS]: a rehearsal without the state says yes, a full one no; the guest goes on at once.
found_by_full() {
	local pattern=$1

	shift
	boot_guest -M $MACHINE
	start_serial_client
	start_qmp_client
	run -0 ctl check --rehearse "$VM_PID"
	full "$@"
	[ "$status" -eq 1 ]
	jq -e --arg pattern "$pattern" '(.reasons | length == 1) and (.reasons[0] | test($pattern)) and
		.rehearsal.blackout_ms < 3000' <<<"$output"
	wait_for 5 has_no_child
	guest_alive
	[ "$(vm_state)" = running ]
	stop_qmp_client >"$VM_DIR/summary.json"
	jq -e '.events == []' "$VM_DIR/summary.json"
	# No fault but in rehearsals.
	update_vm new
	guest_alive
	stop_serial_client
}

@test "full: a state that the new QEMU does not load is found out" {
	export CPRSHIM_FAULT=rehearsal-load
	found_by_full '^rehearsed: the device state was not loaded|^rehearsed: the new QEMU called exit'
}

@test "full: a new QEMU that hangs with the state holds the guest no longer than was said" {
	export CPRSHIM_FAULT=rehearsal-view:hang
	found_by_full '^rehearsed: the new QEMU had not loaded the state .* 250 ms' --max-blackout 250
}

@test "full: a new QEMU that crashes or is killed with the state lets the guest go on at once" {
	export CPRSHIM_FAULT=rehearsal-view:segv
	found_by_full '^rehearsed: the new QEMU was ended by signal 11'
	end_process "$VM_PID"
	export CPRSHIM_FAULT=rehearsal-view:kill
	found_by_full '^rehearsed: the new QEMU ended before it could tell why'
}

@test "--max-blackout refuses what is expected to take longer, and says where from" {
	boot_guest -M $MACHINE
	run -0 ctl check --max-blackout 1 "$VM_PID"
	[[ "$output" == *"warning: the blackout is not known beforehand"* ]]
	run -1 ctl update --json --max-blackout 1 "$VM_PID"
	jq -e '.outcome == "refused" and (.reasons[0] | test("from: startup"))' <<<"$output"
	update_vm new
	run -1 ctl check --json --max-blackout 1 "$VM_PID"
	jq -e '.blockers[0].code == "blackout-too-long" and (.reasons[0] | test("from: last-update")) and
		.predicted_blackout.from == "last-update"' <<<"$output"
	run -1 ctl update --json --max-blackout 1 --binary "$QEMU_OLD" "$VM_PID"
	jq -e '.outcome == "refused" and .blockers[0].code == "blackout-too-long" and
		(.reasons[0] | test("from: rehearsal.last-update"))' <<<"$output"
	run -1 ctl check --json --rehearse=full --max-blackout 1 "$VM_PID"
	jq -e '(.reasons[0] | test("^the blackout of the rehearsal is expected")) and (has("rehearsal") | not)' <<<"$output"
	guest_alive
	run -0 ctl update --json --max-blackout 60000 --binary "$QEMU_OLD" "$VM_PID"
	vm_runs old
	guest_alive
}

@test "full: a busy Linux guest, with its disk and its tap: never a false verdict, and nothing is lost by it" {
	LINUX_APPEND=
	make_netns
	qemu-img create -q -f qcow2 -o lazy_refcounts=on "$VM_DIR/disk.qcow2" 64M
	qemu-img bitmap --add "$VM_DIR/disk.qcow2" backup0
	boot_linux -M $MACHINE -accel tcg "${TAP_ARGS[@]}" -drive "file=$VM_DIR/disk.qcow2,if=virtio" \
		-device virtio-balloon-pci
	start_serial_client
	let_guest_work 1
	start_pinger --rate 200
	local target
	for target in "$QEMU_NEW" "$QEMU_OLD"; do
		full --binary "$target"
		[ "$status" -eq 0 ]
		let_guest_work 1
	done
	update_vm new
	full --binary "$QEMU_OLD"
	[ "$status" -eq 0 ]
	let_guest_work 1
	no_ping_lost 400
	[ "$(guest_status bad)" = 0 ]
	vm_ctl query-block | jq -e '.[0].inserted["dirty-bitmaps"][0] | .name == "backup0" and .persistent and .recording'
	power_off
	serial_was_whole
	disk_is_whole "$VM_DIR/disk.qcow2" qcow2
}

@test "the VM ends while a QEMU is starting beside it: that one ends too, and does not boot the guest" {
	local method slow=$VM_DIR/slow

	# It is tried for its answer before; what comes with a state waits.
	cat >"$slow" <<-EOF
		#!/bin/sh
		if [ -n "\$CPRSHIM_STATE" ]; then
			touch "$VM_DIR/here"
			for i in \$(seq 600); do [ -e "$VM_DIR/go" ] || sleep 0.05; done
		fi
		exec "$QEMU_NEW" "\$@"
	EOF
	chmod 755 "$slow"
	for method in exec transfer relay; do
		boot_guest -M "$MACHINE"
		start_background "$VM_DIR/update.log" "$CPRCTL" update --method "$method" --binary "$slow" "$VM_PID"
		wait_for 30 test -e "$VM_DIR/here"
		kill -KILL "$VM_PID"
		wait_for 10 is_gone "$VM_PID"
		touch "$VM_DIR/go"
		wait_for 10 nothing_is_left
		rm -rf "$VM_DIR"/{here,go,pid,run} "$VM_DIR"/*.sock "$VM_LOG"
	done
}
