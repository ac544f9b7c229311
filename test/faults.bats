#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# faults.bats - an update is broken at every stage in every way (loader/fault.h): the guest goes on, and with it the network, the
# disk, the serial line and monitors; who asked is told why; and the next update works.
#
# One VM goes through all rows of a table: a Linux guest that is pinged and connected to over a tap, writes its disk, and
# checks its RAM. test/recover.bats has programs that break by themselves.

bats_require_minimum_version 1.5.0

load lib/common
load lib/network
load lib/linuxguest

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

MACHINE=pc-q35-7.2

# Two connections, a disk in an I/O thread; few enough descriptors that "fds" comes to an end soon.
begin() {
	FAULTS=$VM_DIR/faults
	: >"$FAULTS"
	export CPRSHIM_FAULT=@$FAULTS
	ulimit -n 1024
	make_netns
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 64M
	boot_linux -M $MACHINE -accel tcg "${TAP_ARGS[@]}" -object iothread,id=io0 \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=disk0,cache=none,aio=native" -device virtio-blk-pci,drive=disk0,iothread=io0
	start_serial_client
	start_qmp_client
	wait_serial 20 'DISK ok'
	start_pinger --rate 20
	start_echoes 2 "$GUEST_ADDRESS" 7
}

# finish [LOST]: nothing was lost by anybody but that many packets, and nothing is left of all the updates.
finish() {
	let_guest_work 1
	[ "$(guest_status bad)" = 0 ]
	# How much may be lost is this test's to say.
	stop_pinger | tee "$VM_DIR/summary.json" >&2 || true
	jq -e --argjson lost "${1:-0}" '.lost <= $lost and .doubled == 0 and .sent > 100' "$VM_DIR/summary.json"
	stop_echoes >/dev/null
	stop_qmp_client
	wait_for 5 has_no_child
	power_off
	serial_was_whole
	qemu-img check -q "$VM_DIR/disk.qcow2"
	disk_is_whole "$VM_DIR/disk.qcow2" qcow2
}

ctl_update() {
	CPRSHIM_RUNDIR=$VM_DIR/run timeout 120 "$CPRCTL" update --json --no-rehearse "$@" "$VM_PID"
}

# The binary that it does not run.
other() {
	if vm_runs old; then echo "$QEMU_NEW"; else echo "$QEMU_OLD"; fi
}

all_goes_on() {
	vm_lives
	guest_alive
	qmp_goes_on 2
	disk_goes_on
	[ "$(vm_state)" = running ]
}

# row STAGE:KIND PATTERN [OUTCOME [WAY]]: the update ends with the outcome ("failed" unless said otherwise) and one reason that matches.
# With "moves" the guest goes on in another process. Then an update without the fault works.
row() {
	local pid=$VM_PID binary to limit=60

	binary=$(readlink -f "/proc/$pid/exe")
	to=$(other)
	case $1 in *:hang | *:stuck) limit=2 ;; esac
	echo "--- $1, to $to" >&2
	echo "$1" >"$FAULTS"
	run -1 --separate-stderr ctl_update --timeout "$limit" --binary "$to"
	: >"$FAULTS"
	echo "$output" >&2
	jq -e --arg pattern "$2" --arg outcome "${3:-failed}" \
		'.ok == false and .outcome == $outcome and (.reasons | length == 1) and (.reasons[0] | test($pattern))' <<<"$output" >/dev/null
	VM_PID=$(jq -r ".pid // $pid" <<<"$output")
	if [ "${4:-}" = moves ]; then
		[ "$VM_PID" != "$pid" ]
		is_gone "$pid"
		STARTED+=("$VM_PID")
	else
		[ "$VM_PID" = "$pid" ]
	fi
	[ "/proc/$VM_PID/exe" -ef "$binary" ]
	all_goes_on
	run -0 --separate-stderr ctl_update --binary "$to"
}

KILLED='was killed, or ended before it could go back'
# Whatever meets it first.
NO_MEMORY='called abort|signal|could not take over|no room to run|Cannot allocate memory|did not answer'

@test "while the old QEMU has the guest: freeze, stop, save, hand over, exec" {
	begin
	row freeze:fail 'inputs could not be held' refused
	row stop:fail 'could not be stopped: as asked for'
	row save:fail 'could not be saved: as asked for'
	row handover:fail 'state could not be written'
	row exec:fail 'could not be started: Bad file descriptor'
	finish
}

@test "from the new program's first code to main()" {
	begin
	row state:fail "$KILLED" failed moves
	grep -q 'CPR state .* is not understood, and the new program ends' "$VM_LOG"
	local kind
	for kind in exit quick abort segv kill; do
		row entry:$kind "$KILLED" failed moves
	done
	row entry:hang "did not come to the shim's code in time" failed moves
	row adopt:exit 'called exit\(3\)'
	row adopt:segv 'signal 11'
	row adopt:kill "$KILLED" failed moves
	row adopt:fds 'could not take over: Too many open files'
	row adopt:memory 'could not take over: Cannot allocate memory'
	row start:exit 'called exit\(3\)'
	row start:quick 'called _exit\(6\)'
	row start:abort 'called abort'
	row start:segv 'signal 11'
	row start:bus 'signal 07'
	row start:ill 'signal 04'
	row start:fpe 'signal 08'
	row start:trap 'signal 05'
	row start:sys 'signal 31'
	row start:xfsz 'signal 25'
	row start:kill "$KILLED" failed moves
	row start:hang 'did not come up in time'
	row start:fds 'Too many open files'
	row start:memory "$NO_MEMORY"
	finish
}

@test "in QEMU's initialisation, and before the guest's memory is its own" {
	begin
	row init:exit 'called exit\(3\)'
	row init:quick 'called _exit\(6\)'
	row init:abort 'called abort'
	row init:segv 'signal 11'
	# QEMU blocks this one on its main thread.
	row init:bus "$KILLED" failed moves
	row init:ill 'signal 04'
	row init:fpe 'signal 08'
	row init:trap 'signal 05'
	row init:sys 'signal 31'
	row init:xfsz 'signal 25'
	row init:kill "$KILLED" failed moves
	row init:hang 'did not come up in time'
	row init:fds 'Too many open files'
	row init:memory "$NO_MEMORY"
	row ram:fail 'has no RAM block'
	row ram:exit 'called exit\(3\)'
	row ram:abort 'called abort'
	row ram:segv 'signal 11'
	row ram:kill "$KILLED" failed moves
	row ram:hang 'did not answer'
	row ram:fds 'Too many open files'
	row ram:memory "$NO_MEMORY"
	finish
}

@test "while the device state is loaded, and up to the guest's first instruction" {
	begin
	row listen:fail 'has not been found|migrate-incoming'
	row listen:exit 'called exit\(3\)'
	row listen:abort 'called abort'
	row listen:segv 'signal 11'
	row listen:kill "$KILLED" failed moves
	row listen:hang 'did not answer'
	# Our own thread, which keeps the deadline: the guardian gives it ten seconds more.
	row listen:stuck 'did not go back in time' failed moves
	row listen:memory "$NO_MEMORY"
	row load:fail 'called exit\(1\)|was not loaded'
	row load:exit 'called exit\(3\)'
	row load:abort 'called abort'
	row load:segv 'signal 11'
	row load:kill "$KILLED" failed moves
	row load:hang 'was not loaded|did not answer'
	row load:memory "$NO_MEMORY"
	row images:fail 'images could not be taken over'
	row images:exit 'called exit\(3\)'
	row images:segv 'signal 11'
	row images:kill "$KILLED" failed moves
	row images:hang 'images could not be taken over'
	row switch:fail 'could not be switched'
	row switch:exit 'called exit\(3\)'
	row switch:segv 'signal 11'
	row switch:kill "$KILLED" failed moves
	row switch:hang 'was not ready to run the guest in time'
	row cont:fail '"cont" failed, as asked for'
	row cont:exit 'called exit\(3\)'
	row cont:abort 'called abort'
	row cont:segv 'signal 11'
	row cont:kill "$KILLED" failed moves
	row cont:hang 'was not ready to run the guest in time'
	row cont:fds 'no room to run the guest: Too many open files'
	row cont:memory 'no room to run the guest: Cannot allocate memory'
	# One packet each may have been read by the QEMU that was given up.
	finish 6
}
