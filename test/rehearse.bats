#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rehearse.bats - a new QEMU is brought up beside the running guest: what it finds, and that nothing outside it changes.

bats_require_minimum_version 1.5.0

load lib/common
load lib/network

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

MACHINE=pc-q35-7.2

ctl() {
	CPRSHIM_RUNDIR=$VM_DIR/run timeout 60 "$CPRCTL" "$@"
}

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
	boot_guest -M $MACHINE -device sga
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
