#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# operators.bats - what operators and managers do to a VM at each stage of an update: signals, monitor commands, a second update,
# another binary on the disk, no room, few descriptors, a tracer. Each stage is held (loader/fault.h: wait) until it is done.

bats_require_minimum_version 1.5.0

load lib/common
load lib/linuxguest
load lib/faults

# The method that rehearses, and has a way back. Others have tests of their own (relay.bats, transfer.bats).
export CPRSHIM_METHOD=exec

setup() {
	setup_vm_dir
	FAULTS=$VM_DIR/faults
	: >"$FAULTS"
	export CPRSHIM_FAULT=@$FAULTS
}
teardown() {
	umount "$VM_DIR/small" 2>/dev/null || true
	teardown_vm_dir
}

BEFORE="check probe rehearse flush freeze"
FROZEN="stop save handover exec entry adopt start init ram listen load images switch cont tidy"

# A rehearsal is held where there is one.
hold() {
	UPDATE_ARGS=(--no-rehearse)
	[ "$1" != rehearse ] || UPDATE_ARGS=()
	hold_update "$1"
}

is_stopped() { grep -q '^State:.*T (stopped)' "/proc/$VM_PID/status"; }
is_not_stopped() { fails is_stopped; }

# ends STAGE: it ended as its operator wanted, and is not called lost.
ends() {
	wait_for 30 is_gone "$VM_PID"
	: >"$FAULTS"
	rm -f "$FAULTS.$1"
	wait_for 60 test -s "$VM_DIR/update.rc"
	UPDATE_RESULT=$(cat "$VM_DIR/update.json")
	echo "rc $(cat "$VM_DIR/update.rc"): $(jq -c '[.outcome, .reasons]' <<<"$UPDATE_RESULT")" >&2
	jq -e '.outcome == "ended" or .outcome == "updated"' <<<"$UPDATE_RESULT"
	[ "$(cat "$VM_DIR/update.rc")" -lt 2 ]
	[ ! -e "$VM_DIR/pid" ]
	[ -z "$(find "$VM_DIR/run" -name "$VM_PID.*")" ]
}

@test "SIGUSR2 a hundred times, and SIGSTOP and SIGCONT, at each stage" {
	local stage i

	boot_guest -M "$MACHINE"
	start_serial_client --rate 100
	start_qmp_client
	for stage in $BEFORE $FROZEN; do
		hold "$stage"
		for ((i = 0; i < 100; i++)); do
			kill -USR2 "$VM_PID"
		done
		kill -STOP "$VM_PID"
		wait_for 5 is_stopped
		kill -CONT "$VM_PID"
		wait_for 5 is_not_stopped
		let_go "$stage"
		outcome_is updated
		guest_alive
		qmp_goes_on 2
		[ "$(update_count)" = $((COUNT + 1)) ] || [ "$(update_count)" = 32 ]
	done
	stop_serial_client
	stop_qmp_client
}

@test "SIGTERM, SIGINT and SIGHUP at each stage end the VM in order" {
	local stage signals=(TERM INT HUP) i=0

	for stage in probe freeze stop save exec entry init load cont tidy; do
		use_qemu old
		qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
		boot_guest -M "$MACHINE" -drive "file=$VM_DIR/disk.qcow2,if=virtio,id=d0"
		hold "$stage"
		kill -"${signals[i++ % 3]}" "$VM_PID"
		# The new QEMU takes it when the guest is its own.
		case $FROZEN in *exec*"$stage"*) let_go "$stage" ;; esac
		ends "$stage"
		grep -q "terminating on signal" "$VM_LOG"
		qemu-img check -q "$VM_DIR/disk.qcow2"
		rm -f "$VM_LOG"
	done
}

# ask_monitor COMMAND: on a connection of its own, answered when the update lets it.
ask_monitor() {
	rm -f "$VM_DIR/answer.json"
	start_background "$VM_DIR/answer.json" "$TOOLS/qmp.py" "$VM_CTL" "$1"
	ASKED=$!
}

answered() {
	wait_for 30 is_gone "$ASKED"
	echo "answer: $(cat "$VM_DIR/answer.json")" >&2
}

@test "stop and system_reset from a monitor at each stage are done before or after the update, and the guest goes on" {
	local stage

	boot_guest -M "$MACHINE"
	start_qmp_client
	for stage in check rehearse freeze stop exec init load cont tidy; do
		hold "$stage"
		ask_monitor stop
		case $BEFORE in *"$stage"*) answered ;; esac
		let_go "$stage"
		outcome_is updated
		answered
		[ "$(vm_state)" = paused ]
		vm_ctl cont
		guest_alive
		hold "$stage"
		ask_monitor system_reset
		case $BEFORE in *"$stage"*) answered ;; esac
		let_go "$stage"
		answered
		wait_for_guest 20
	done
	stop_qmp_client
}

@test "a migration that is started at each stage: refused while it goes on, else begun afterwards" {
	local stage

	boot_guest -M "$MACHINE"
	start_qmp_client
	for stage in check freeze stop init cont; do
		vm_ctl '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 1000}}'
		hold "$stage"
		ask_monitor '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}'
		case $BEFORE in *"$stage"*) answered ;; esac
		let_go "$stage"
		answered
		case $BEFORE in *"$stage"*) outcome_is refused ;; *) outcome_is updated ;; esac
		jq -e '.status == "active" or .status == "setup"' <<<"$(vm_ctl query-migrate)"
		vm_ctl migrate_cancel
		wait_for 20 migration_ended
		guest_alive
	done
	update_vm "$(other)"
	stop_qmp_client
}

migration_ended() { [ "$(vm_ctl query-migrate | jq -r .status)" = cancelled ]; }

@test "quit at each stage ends the VM in order" {
	local stage

	for stage in probe stop init tidy; do
		use_qemu old
		boot_guest -M "$MACHINE"
		hold "$stage"
		ask_monitor quit
		case $BEFORE in *"$stage"*) ;; *) let_go "$stage" ;; esac
		ends "$stage"
	done
}

@test "two updates at once: one is done; cprctl killed at each stage: the update goes on" {
	local stage

	boot_guest -M "$MACHINE"
	start_serial_client --rate 100
	for stage in check freeze save init cont tidy; do
		hold "$stage"
		start_background "$VM_DIR/second.$stage" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --binary "$TO" "$VM_PID"
		local second=$!
		# It waits for an answer: it has sent its request.
		wait_for 10 in_poll "$second"
		let_go "$stage"
		outcome_is updated
		wait_for 30 is_gone "$second"
		grep -q 'already in progress' "$VM_DIR/second.$stage"
		hold "$stage"
		kill -KILL "$(pgrep -f "^$CPRCTL update --json .*$VM_PID\$")"
		: >"$FAULTS"
		rm "$FAULTS.$stage"
		wait_for 60 update_beyond "$COUNT"
		[ "$(update_history | jq -r 'last | .outcome')" = updated ]
		guest_alive
	done
	stop_serial_client
}

in_poll() { grep -q poll "/proc/$1/wchan"; }

@test "the guest powers off in the middle of an update: it has ended, and its disk is whole" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 64M
	boot_linux -M "$MACHINE" -accel tcg -drive "file=$VM_DIR/disk.qcow2,if=virtio,id=disk0"
	start_serial_client
	wait_serial 30 'DISK ok'
	hold freeze
	send_serial poweroff
	echo stop:wait >"$FAULTS"
	rm "$FAULTS.freeze"
	ends stop
	serial_was_whole
	disk_is_whole "$VM_DIR/disk.qcow2" qcow2
}

@test "the binary on the disk is replaced, and removed, while the update runs" {
	local stage

	boot_guest -M "$MACHINE"
	start_serial_client --rate 100
	for stage in rehearse freeze init cont; do
		TO=$(other)
		use_qemu "$TO"
		echo "$stage:wait" >"$FAULTS"
		kill -USR2 "$VM_PID"
		wait_for 60 test -e "$FAULTS.$stage"
		echo "no program" >"$VM_DIR/broken"
		mv "$VM_DIR/broken" "$VM_DIR/qemu-system-x86_64"
		: >"$FAULTS"
		rm "$FAULTS.$stage"
		wait_for 60 last_is updated
		vm_runs "$TO"
		guest_alive
		# What is there now is none, and is refused.
		fails update_vm
		[ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = refused ]
		rm "$VM_DIR/qemu-system-x86_64"
		fails update_vm
		guest_alive
	done
	stop_serial_client
}

last_is() { [ "$(update_history | jq -r 'last | .outcome')" = "$1" ]; }

@test "no room where logs and the run directory are" {
	mkdir "$VM_DIR/small"
	mount -t tmpfs -o size=64k none "$VM_DIR/small"
	rmdir "$VM_DIR/run"
	mkdir "$VM_DIR/small/run"
	ln -s small/run "$VM_DIR/run"
	ln -s small/shim.log "$VM_DIR/shim.log"
	ln -s small/qemu.log "$VM_LOG"
	CPRSHIM_LOG=debug boot_guest -M "$MACHINE" -D "$VM_DIR/small/qemu-d" -d cpu_reset
	start_serial_client --rate 100
	start_qmp_client
	dd if=/dev/zero of="$VM_DIR/small/fill" bs=4k 2>/dev/null || true
	fails sh -c "echo x >'$VM_DIR/small/more'"
	update_by_ctl --binary "$QEMU_NEW"
	guest_alive
	echo init:exit >"$FAULTS"
	fails update_by_ctl --no-rehearse --binary "$QEMU_OLD"
	outcome_is failed
	: >"$FAULTS"
	guest_alive
	update_by_ctl --binary "$QEMU_OLD"
	stop_serial_client
	stop_qmp_client
	end_process "$VM_PID"
}

@test "few descriptors, and as many as may be" {
	local limit

	for limit in 48 200 "$(ulimit -Hn)"; do
		use_qemu old
		VM_WRAPPER=(prlimit "--nofile=$limit:$limit" --)
		boot_guest -M "$MACHINE"
		start_serial_client --rate 100
		if update_by_ctl --binary "$QEMU_NEW"; then
			update_by_ctl --binary "$QEMU_OLD"
		else
			# Not enough for it: said before the guest is touched.
			[ "$limit" -lt 1000 ]
			outcome_is refused
			jq -e '.reasons | any(test("descriptors|open files"))' <<<"$UPDATE_RESULT"
		fi
		guest_alive
		stop_serial_client
		end_process "$VM_PID"
	done
}

@test "a VM that is traced by strace is updated, and one whose update fails goes on" {
	boot_guest -M "$MACHINE"
	start_serial_client --rate 100
	start_background "$VM_DIR/strace.log" strace -f -o "$VM_DIR/trace.log" -e trace=execve,execveat -p "$VM_PID"
	local strace=$!
	wait_for 10 grep -q '^TracerPid:.*[1-9]' "/proc/$VM_PID/status"
	update_by_ctl --no-rehearse --binary "$QEMU_NEW"
	guest_alive
	echo load:segv >"$FAULTS"
	fails update_by_ctl --no-rehearse --binary "$QEMU_OLD"
	outcome_is failed
	: >"$FAULTS"
	guest_alive
	update_by_ctl --no-rehearse --binary "$QEMU_OLD"
	guest_alive
	end_process "$strace"
	guest_alive
	stop_serial_client
}
