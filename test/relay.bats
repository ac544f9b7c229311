#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# relay.bats - the method relay: the guest goes to a stand-in, and back to its process, which has become the new QEMU meanwhile.

bats_require_minimum_version 1.5.0

load lib/common
load lib/network
load lib/linuxguest
load lib/faults

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

UPDATE_ARGS=(--method relay)

# relay BINARY: the process is the same one, and has no child any more.
relay() {
	ctl update --json --method relay --binary "$1" "$VM_PID" | tee "$VM_DIR/result.json" >&2
	jq -e '.ok and .method == "relay" and (.blackouts_ms | length) == 2 and (has("pid") | not)' "$VM_DIR/result.json"
	[ "/proc/$VM_PID/exe" -ef "$1" ]
	[ "$(cat "$VM_DIR/pid")" = "$VM_PID" ]
	wait_for 10 has_no_child
	[ "$(find "$VM_DIR/run" -name '*.sock')" = "$VM_DIR/run/$VM_PID.sock" ]
}

@test "7.2 to 10.0 and back: one process, two blackouts each time; the guest counts on, clients see nothing" {
	boot_guest -M "$MACHINE"
	start_serial_client --rate 100
	start_qmp_client
	relay "$QEMU_NEW"
	[ "$(vm_version)" = 10.0 ]
	guest_alive
	relay "$QEMU_OLD"
	[ "$(vm_version)" = 7.2 ]
	guest_alive
	update_vm new
	guest_alive
	stop_serial_client
	stop_qmp_client
	[ ! -s "$VM_LOG" ]
	vm_ctl quit
	wait_for 10 is_gone "$VM_PID"
	[ ! -e "$VM_DIR/pid" ]
	[ ! -e "$VM_DIR/run/$VM_PID.sock" ]
}

@test "a Linux guest on a tap, with a disk and connections: nothing is lost, there and back twice" {
	nothing_is_lost_by relay
}

@test "after ten relays the process has what it had after two: descriptors, flags, locks, mappings, threads" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	CPRSHIM_HUGEPAGES=off boot_guest -M "$MACHINE" -smp 2 -chardev "file,id=log,path=$VM_DIR/console" -device isa-debugcon,chardev=log \
		-chardev pty,id=pty0 -device isa-serial,chardev=pty0 -vnc "unix:$VM_DIR/vnc.sock" \
		-drive "file=$VM_DIR/disk.qcow2,if=virtio"
	start_serial_client --rate 100
	start_qmp_client
	relay "$QEMU_NEW"
	relay "$QEMU_OLD"
	take_state two
	for _ in 1 2 3 4; do
		relay "$QEMU_NEW"
		relay "$QEMU_OLD"
	done
	state_is two
	guest_alive
	stop_serial_client
	stop_qmp_client
}

@test "a systemd unit's process is updated by exec, unless relay is asked for: the unit would end with it" {
	local own
	own=$(cat "/proc/$BASHPID/comm")

	# Its parent is this process.
	VM_WRAPPER=(env INVOCATION_ID=0123456789abcdef0123456789abcdef)
	boot_guest -M "$MACHINE"
	printf systemd >"/proc/$BASHPID/comm"
	use_qemu new
	update_by_ctl
	jq -e '.ok and .method == "exec" and (.method_reason | test("systemd unit"))' <<<"$UPDATE_RESULT"
	update_by_ctl --method relay --binary "$QEMU_OLD"
	jq -e '.ok and .method == "relay" and .method_reason == "asked for"' <<<"$UPDATE_RESULT"
	printf %s "$own" >"/proc/$BASHPID/comm"
	update_by_ctl
	jq -e '.ok and .method == "relay"' <<<"$UPDATE_RESULT"
	guest_alive
}

# stays STAGE:KIND PATTERN: the guest comes to the stand-in, and goes on there; it is the new QEMU all the same.
stays() {
	local pid=$VM_PID

	to=$(other)
	echo "--- $1, to $to" >&2
	echo "$1" >"$FAULTS"
	run -0 --separate-stderr ctl_update --timeout "${3:-60}" --binary "$to"
	: >"$FAULTS"
	echo "$output" >&2
	jq -e --arg pattern "$2" '.ok and (.warnings[-1] | test("could not go back")) and (.warnings[-1] | test($pattern))' <<<"$output"
	goes_on_as "$(jq .pid <<<"$output")"
	[ "$VM_PID" != "$pid" ]
	wait_for 10 is_gone "$pid"
	[ "/proc/$VM_PID/exe" -ef "$to" ]
	[ "$(cat "$VM_DIR/pid")" = "$VM_PID" ]
	all_goes_on
	run -0 --separate-stderr ctl_update --binary "$(other)"
	[ "$(jq -r ".pid // $VM_PID" <<<"$output")" = "$VM_PID" ]
}

@test "on the way to the stand-in: it goes on where it was" {
	begin
	row start:exit 'called exit\(3\)' refused
	row init:kill 'did not come up' refused
	row give:fail 'could not be handed over'
	row load:segv 'signal 11'
	row load:kill 'was killed'
	row switch:hang 'was not ready to run the guest in time'
	row cont:kill 'was killed'
	finish 4
}

@test "on the way back: the stand-in is the VM then" {
	begin
	stays relay-entry:exit 'did not come up'
	stays relay-adopt:kill 'did not come up'
	stays relay-start:segv 'signal 11'
	stays relay-init:hang 'did not come up' 2
	stays relay-freeze:fail 'could not be held'
	stays relay-save:fail 'could not be saved'
	stays relay-give:fail 'could not be handed over'
	stays relay-sure:fail 'did not stay stopped'
	stays relay-load:kill 'was killed'
	stays relay-images:fail 'images could not be taken over'
	stays relay-switch:exit 'called exit\(3\)'
	stays relay-cont:fail '"cont" failed'
	# One packet each may have been read by the QEMU that was given up.
	finish 6
}

# --- what others do while the stand-in has the guest ---

held_guest() {
	FAULTS=$VM_DIR/faults
	: >"$FAULTS"
	export CPRSHIM_FAULT=@$FAULTS
	boot_guest -M "$MACHINE"
	start_serial_client --rate 100
	start_qmp_client
	hold_update relay-freeze
	# Its child, while the process itself is the new QEMU, and waits.
	STANDIN=$(children | tr -d ' \n')
	wait_for 10 vm_runs new
}

@test "the process is killed: the stand-in goes on, under its own id" {
	held_guest
	local before=$VM_PID

	ctl list --json >&2
	kill -KILL "$before"
	wait_for 10 is_gone "$before"
	let_go relay-freeze
	outcome_is updated
	jq -e '.warnings[-1] | test("could not go back")' <<<"$UPDATE_RESULT"
	goes_on_as "$(jq .pid <<<"$UPDATE_RESULT")"
	[ "$VM_PID" = "$STANDIN" ]
	wait_for 5 grep -qx "$VM_PID" "$VM_DIR/pid"
	guest_alive
	stop_serial_client
	stop_qmp_client
}

@test "SIGTERM, SIGINT and SIGHUP to the process end the VM in order, wherever the guest is" {
	local stage signals=(TERM INT HUP) i=0 status

	FAULTS=$VM_DIR/faults
	export CPRSHIM_FAULT=@$FAULTS
	for stage in start freeze stop save give listen load cont relay-start relay-freeze relay-save relay-give relay-load relay-cont; do
		: >"$FAULTS"
		use_qemu old
		qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
		boot_guest -M "$MACHINE" -drive "file=$VM_DIR/disk.qcow2,if=virtio"
		hold_update "$stage"
		kill -"${signals[i++ % 3]}" "$VM_PID"
		: >"$FAULTS"
		rm -f "$FAULTS.$stage"
		wait_for 30 is_gone "$VM_PID"
		status=0
		wait "$VM_PID" || status=$?
		echo "status $status" >&2
		[ "$status" = 0 ]
		wait_for 30 test -s "$VM_DIR/update.rc"
		wait_for 10 nothing_is_left
		grep -q 'terminating on signal' "$VM_LOG"
		[ ! -e "$VM_DIR/pid" ]
		[ -z "$(find "$VM_DIR/run" -name '*.sock' | tee /dev/stderr)" ]
		qemu-img check -q "$VM_DIR/disk.qcow2"
		rm -f "$VM_LOG"
	done
}

@test "a client of the control socket reaches the VM all the time, by the one process id" {
	held_guest
	let_go relay-freeze
	outcome_is updated
	jq -e 'has("pid") | not' <<<"$UPDATE_RESULT"
	wait_for 10 is_gone "$STANDIN"
	ctl status "$VM_PID" >/dev/null
	guest_alive
	stop_serial_client
	stop_qmp_client
}
