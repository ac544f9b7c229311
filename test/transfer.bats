#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# transfer.bats - the method transfer: the guest goes to a successor in a process of its own, or stays where it is.

bats_require_minimum_version 1.5.0

load lib/common
load lib/network
load lib/linuxguest
load lib/faults

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

UPDATE_ARGS=(--method transfer)

# transfer BINARY [OPTIONS]: the guest is in another process then, and nothing is left of the one it was in.
transfer() {
	local before=$VM_PID to=$1

	shift
	ctl update --json --method transfer --binary "$to" "$@" "$VM_PID" >"$VM_DIR/result.json" || cat "$VM_DIR/result.json"
	jq -e --argjson before "$before" '.ok and .method == "transfer" and .pid != $before' "$VM_DIR/result.json" >/dev/null
	VM_PID=$(jq .pid "$VM_DIR/result.json")
	STARTED+=("$VM_PID")
	wait_for 10 is_gone "$before"
	[ ! -e "$VM_DIR/run/$before.sock" ]
	[ "/proc/$VM_PID/exe" -ef "$to" ]
}

@test "7.2 to 10.0 and back: another process each time, its pidfile and socket; the guest counts on, clients see nothing" {
	boot_guest -M "$MACHINE"
	start_serial_client --rate 100
	start_qmp_client
	transfer "$QEMU_NEW"
	[ "$(cat "$VM_DIR/pid")" = "$VM_PID" ]
	[ "$(vm_version)" = 10.0 ]
	guest_alive
	transfer "$QEMU_OLD"
	[ "$(cat "$VM_DIR/pid")" = "$VM_PID" ]
	[ "$(vm_version)" = 7.2 ]
	guest_alive
	stop_serial_client
	stop_qmp_client
	[ ! -s "$VM_LOG" ]
	vm_ctl quit
	wait_for 10 is_gone "$VM_PID"
	[ ! -e "$VM_DIR/pid" ]
	[ ! -e "$VM_DIR/run/$VM_PID.sock" ]
}

@test "-pidfile given twice: the last one's file counts, as for QEMU" {
	boot_guest -M "$MACHINE" -pidfile "$VM_DIR/last"
	[ "$(cat "$VM_DIR/last")" = "$VM_PID" ]
	transfer "$QEMU_NEW"
	[ "$(cat "$VM_DIR/last")" = "$VM_PID" ]
	[ ! -e "$VM_DIR/pid" ]
	vm_ctl quit
	wait_for 10 is_gone "$VM_PID"
	[ ! -e "$VM_DIR/last" ]
}

@test "a Linux guest on a tap, with a disk and connections: nothing is lost, there and back twice" {
	nothing_is_lost_by transfer
}

# mapped_by_load: regions of PCI devices that the present QEMU mapped while it loaded the devices, and before that.
mapped_by_load() {
	grep "^$VM_PID@" "$VM_DIR/trace" | awk '/:vmstate_load / { loads = 1 } /:pci_update_mappings_add / { count[loads + 0]++ }
		END { print count[1] + 0, count[0] + 0 }'
}

places() { do_qmp query-pci | jq -S .; }

@test "PCI devices are in their places before the load, behind bridges too" {
	local machine to
	local -a port devices=(-device 'virtio-rng-pci,addr=4' -device 'virtio-serial-pci,addr=5.0,multifunction=on'
		-device 'virtio-rng-pci,addr=5.3' -device 'pci-bridge,id=bridge,chassis_nr=1,addr=6' -device 'virtio-rng-pci,bus=bridge,addr=3'
		-device 'VGA,addr=7' -device 'pci-serial,addr=8')

	for machine in pc-q35-7.2 pc-i440fx-7.2; do
		port=()
		[ "$machine" = pc-i440fx-7.2 ] || port=(-device 'pcie-root-port,id=root1,chassis=2,addr=9' -device 'virtio-rng-pci,bus=root1')
		boot_guest -M "$machine" "${devices[@]}" "${port[@]}" -append masters -trace 'pci_update_mappings_*' -trace vmstate_load \
			-msg timestamp=on -D "$VM_DIR/trace"
		places >"$VM_DIR/before"
		for to in "$QEMU_NEW" "$QEMU_OLD"; do
			transfer "$to"
			diff "$VM_DIR/before" <(places)
			echo "by the load, before: $(mapped_by_load)"
			[ "$(mapped_by_load | cut -d ' ' -f 1)" = 0 ]
			[ "$(mapped_by_load | cut -d ' ' -f 2)" -gt 12 ]
		done
		teardown_vm_dir
		setup_vm_dir
	done
}

# Killed, hung, or out of something: whatever meets it first.
GIVEN_UP='was killed, or did not run the guest in time'

@test "a new QEMU that does not come up beside the guest: it was never touched" {
	begin
	row state:fail 'did not come up' refused
	row entry:exit 'did not come up' refused
	row entry:hang 'did not come up, or not in time' refused
	row adopt:segv 'signal 11' refused
	row adopt:fds 'could not take over: Too many open files' refused
	row adopt:memory 'could not take over: Cannot allocate memory' refused
	row start:exit 'called exit\(3\)' refused
	row start:kill 'did not come up' refused
	row init:quick 'called _exit\(6\)' refused
	row init:abort 'called abort' refused
	row init:hang 'did not come up' refused
	row ram:fail 'has no RAM block' refused
	row listen:exit 'called exit\(3\)' refused
	row listen:hang 'did not answer' refused
	row listen:stuck 'did not come up' refused
	row freeze:fail 'inputs could not be held' refused
	finish
}

@test "a new QEMU that fails with the guest in its hands: it goes on where it was" {
	begin
	row stop:fail 'could not be stopped: as asked for'
	row save:fail 'could not be saved: as asked for'
	row handover:fail 'state could not be written'
	row give:fail 'could not be handed over'
	row sure:fail 'did not stay stopped, as asked for'
	row load:fail 'called exit\(1\)|was not loaded'
	row load:segv 'signal 11'
	row load:kill "$GIVEN_UP"
	row load:hang 'was not loaded|did not answer'
	row images:fail 'images could not be taken over'
	row images:kill "$GIVEN_UP"
	row switch:exit 'called exit\(3\)'
	row switch:kill "$GIVEN_UP"
	row switch:hang 'was not ready to run the guest in time'
	row cont:fail '"cont" failed, as asked for'
	row cont:abort 'called abort'
	row cont:kill "$GIVEN_UP"
	row cont:memory 'no room to run the guest: Cannot allocate memory'
	# One packet each may have been read by the QEMU that was given up.
	finish 6
}

# --- what is there afterwards ---

@test "after two transfers, and after ten, the process has what the first one had: descriptors, flags, locks, mappings, threads" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	truncate -s 128M "$VM_DIR/ram"
	CPRSHIM_HUGEPAGES=off boot_guest -M "$MACHINE" -smp 2 -chardev "file,id=log,path=$VM_DIR/console" -device isa-debugcon,chardev=log \
		-chardev pty,id=pty0 -device isa-serial,chardev=pty0 -D "$VM_DIR/qemu-own.log" \
		-device virtio-serial-pci -chardev "socket,id=ga,path=$VM_DIR/ga.sock,server=on,wait=off" \
		-device virtserialport,chardev=ga,name=ga -object iothread,id=io0 -vnc "unix:$VM_DIR/vnc.sock" \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk,iothread=io0 \
		-object "memory-backend-file,share=on,mem-path=$VM_DIR/ram,id=m0,size=128M" -numa node,memdev=m0 \
		-object memory-backend-memfd,id=m1,size=128M,prealloc=on -numa node,memdev=m1
	start_serial_client --rate 100
	start_qmp_client
	take_state start
	transfer "$QEMU_NEW"
	transfer "$QEMU_OLD"
	state_is start
	take_state two
	for _ in 1 2 3 4; do
		transfer "$QEMU_NEW"
		transfer "$QEMU_OLD"
	done
	state_is two
	guest_alive
	stop_serial_client
	stop_qmp_client
}

@test "a paused guest stays paused, and one is held where that is asked for; an update by exec and a transfer in turn" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -M "$MACHINE" -drive "file=$VM_DIR/disk.qcow2,if=virtio"
	start_serial_client
	vm_ctl stop
	transfer "$QEMU_NEW"
	[ "$(vm_state)" = paused ]
	update_vm old
	transfer "$QEMU_NEW"
	[ "$(vm_state)" = paused ]
	vm_ctl cont
	guest_alive
	transfer "$QEMU_OLD" --paused
	[ "$(vm_state)" = paused ]
	vm_ctl cont
	guest_alive
	update_vm new
	guest_alive
	stop_serial_client
}

@test "-daemonize, -D and relative paths: the new process is a daemon too" {
	cd "$VM_DIR"
	CPRSHIM_RUNDIR=$VM_DIR/run CPRSHIM_LOGFILE=$VM_DIR/shim.log LD_PRELOAD=$SHIM ./qemu-system-x86_64 -daemonize \
		-nodefaults -display none -M q35 -m 256 -kernel "$GUEST" -pidfile pid -D debug.log -d cpu_reset \
		-serial unix:serial.sock,server=on,wait=off -qmp unix:ctl.sock,server=on,wait=off 3>&- 4>&-
	cd /
	VM_PID=$(cat "$VM_DIR/pid")
	STARTED+=("$VM_PID")
	wait_for 10 test -S "$VM_DIR/run/$VM_PID.sock"
	wait_for_guest 20
	start_serial_client --rate 100
	local before
	before=$(stat -c %s "$VM_DIR/debug.log")
	transfer "$QEMU_NEW"
	[ "$(cat "$VM_DIR/pid")" = "$VM_PID" ]
	[ "$(readlink "/proc/$VM_PID/cwd")" = / ]
	[ "$(stat -c %s "$VM_DIR/debug.log")" -gt "$before" ]
	transfer "$QEMU_OLD"
	guest_alive
	stop_serial_client
	vm_ctl quit
	wait_for 10 is_gone "$VM_PID"
	[ ! -e "$VM_DIR/pid" ]
}

# --- what others do meanwhile ---

held_guest() {
	FAULTS=$VM_DIR/faults
	: >"$FAULTS"
	export CPRSHIM_FAULT=@$FAULTS
	boot_guest -M "$MACHINE" "$@"
	start_serial_client --rate 100
	start_qmp_client
}

# successor: the process that comes up beside the VM, or has just got the guest.
successor() { children | tr ' ' '\n' | head -n 1; }

@test "a client that comes while the new QEMU does: it is brought up again, and the client stays" {
	held_guest -qmp "unix:$VM_DIR/late.sock,server=on,wait=off"
	hold_update freeze
	start_link late "$VM_DIR/late.sock"
	send_link late '{"execute": "qmp_capabilities"}\n'
	wait_link 5 late '"return"'
	local first
	first=$(successor)
	let_go freeze
	outcome_is updated
	goes_on_as "$(jq .pid <<<"$UPDATE_RESULT")"
	[ "$VM_PID" != "$first" ]
	wait_for 10 is_gone "$first"
	send_link late '{"execute": "query-version"}\n'
	wait_link 5 late '"major": 10'
	guest_alive
	stop_serial_client
	stop_qmp_client
}

@test "the guest moves a PCI device and takes another off the bus while the new QEMU waits: they are where it put them" {
	held_guest -device pci-serial,id=card,addr=8 -device virtio-rng-pci,addr=9 -append masters
	hold_update freeze
	places >"$VM_DIR/first"
	# Device 8's BAR, and device 9's command.
	for write in '0xcf8 0x80004010' '0xcfc 0xe000' '0xcf8 0x80004804' '0xcfc 0'; do
		hmp "o/w $write"
	done
	places >"$VM_DIR/before"
	fails diff "$VM_DIR/first" "$VM_DIR/before"
	let_go freeze
	outcome_is updated
	goes_on_as "$(jq .pid <<<"$UPDATE_RESULT")"
	diff "$VM_DIR/before" <(places)
	stop_serial_client
	stop_qmp_client
}

@test "the old process is killed: before it has given the guest away, and after" {
	held_guest
	hold_update give
	local beside before=$VM_PID

	beside=$(successor)
	kill -KILL "$VM_PID"
	wait_for 10 is_gone "$beside"
	end_process "$SERIAL_PID"
	wait_for 10 test -s "$VM_DIR/update.rc"
	[ "$(cat "$VM_DIR/update.rc")" = 3 ]
	end_process "$QMP_PID"
	rm -f "$VM_DIR/run"/* "$FAULTS.give" "$VM_DIR/pid" "$VM_DIR"/*.sock

	local stage
	for stage in sure load; do
		use_qemu old
		held_guest
		hold_update $stage
		beside=$(successor)
		before=$VM_PID
		kill -KILL "$before"
		let_go $stage
		outcome_is updated
		goes_on_as "$(jq .pid <<<"$UPDATE_RESULT")"
		[ "$VM_PID" = "$beside" ]
		guest_alive
		stop_serial_client
		stop_qmp_client
		end_process "$VM_PID"
		rm -f "$VM_DIR/pid" "$VM_DIR"/*.sock
	done
}

@test "SIGTERM, and a guest that is told to quit, while the new QEMU waits: both end" {
	local how beside

	for how in term quit; do
		held_guest
		hold_update freeze
		beside=$(successor)
		if [ $how = term ]; then kill -TERM "$VM_PID"; else vm_ctl quit; fi
		end_process "$SERIAL_PID"
		end_process "$QMP_PID"
		rm -f "$FAULTS.freeze"
		: >"$FAULTS"
		wait_for 30 is_gone "$VM_PID"
		wait_for 10 is_gone "$beside"
		wait_for 30 test -s "$VM_DIR/update.rc"
		[ "$(cat "$VM_DIR/update.rc")" = 1 ]
		[ ! -e "$VM_DIR/pid" ]
		use_qemu old
	done
}

# clock_write SECONDS: the guest sets its clock. QEMU tells of that at most once a second, and of the last one in any case.
clock_write() { hmp "o /b 0x70 0" && hmp "o /b 0x71 $1"; }

is_past() { [ "$(date +%s%N)" -gt "$1" ]; }

@test "what a monitor's client is told when the state has been written is not lost, though it does not read" {
	local due

	held_guest -qmp "unix:$VM_DIR/slow.sock,server=on,wait=off"
	start_background "$VM_DIR/slow.log" "$TOOLS/slowqmp.py" "$VM_DIR/slow.sock" "$VM_DIR/slow.go"
	wait_for 10 grep -q sent "$VM_DIR/slow.log"
	hold_update freeze
	clock_write 0x10
	clock_write 0x20
	due=$(($(date +%s%N) + 1200000000))
	echo save:wait >"$FAULTS"
	rm "$FAULTS.freeze"
	wait_for 60 test -e "$FAULTS.save"
	wait_for 5 is_past $due
	touch "$VM_DIR/slow.go"
	let_go save
	outcome_is failed
	jq -e '.reasons[0] | test("output of the old QEMU could not be passed on")' <<<"$UPDATE_RESULT"
	wait_for 30 grep -q all "$VM_DIR/slow.log"
	[ "$(grep -o RTC_CHANGE "$VM_DIR/slow.log" | wc -l)" = 2 ]
	guest_alive
	stop_serial_client
	stop_qmp_client
}

@test "SIGTERM to the old process when the new one has the guest already ends that one, and is not lost" {
	local beside

	held_guest
	hold_update load
	beside=$(successor)
	kill -TERM "$VM_PID"
	end_process "$SERIAL_PID"
	end_process "$QMP_PID"
	rm -f "$FAULTS.load"
	: >"$FAULTS"
	wait_for 30 is_gone "$VM_PID"
	wait_for 30 is_gone "$beside"
	grep -q 'terminating on signal 15' "$VM_LOG"
	[ ! -e "$VM_DIR/pid" ]
	[ -z "$(find "$VM_DIR/run" -name '*.sock')" ]
}

# --- refused ---

@test "a VM on a terminal keeps its process" {
	start_on_terminal tty -nodefaults -display none -serial stdio
	run -1 ctl update --json --method transfer --binary "$QEMU_NEW" "$VM_PID"
	jq -e '.outcome == "refused" and .blockers[0].code == "method" and (.reasons[0] | test("its terminal"))' <<<"$output"
	ctl update --json --method auto --binary "$QEMU_NEW" "$VM_PID" >"$VM_DIR/result.json"
	jq -e '.ok and .method == "exec" and (.method_reason | test("its terminal"))' "$VM_DIR/result.json"
	vm_runs new
}

# --- to a process that somebody else has started ---

# receive COMMAND...: another process waits for the guest, at $VM_DIR/receive.sock.
receive() {
	start_background "$VM_DIR/receive.log" "$@"
	RECEIVER=$!
	wait_for 10 test -S "$VM_DIR/receive.sock"
}

# give: the guest is in that process then.
give() {
	local before=$VM_PID

	ctl update --json --to "$VM_DIR/receive.sock" "$VM_PID" | tee "$VM_DIR/result.json" >&2
	jq -e --argjson pid "$RECEIVER" '.ok and .method == "transfer" and .pid == $pid' "$VM_DIR/result.json"
	VM_PID=$RECEIVER
	wait_for 10 is_gone "$before"
	[ ! -e "$VM_DIR/receive.sock" ]
}

@test "to cprctl run --receive, with -sandbox spawn=deny: the guest is under a sandbox of its own there, and goes on from there" {
	boot_guest -M "$MACHINE" -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
	start_serial_client --rate 100
	start_qmp_client
	run -1 ctl update --json --method transfer --binary "$QEMU_NEW" "$VM_PID"
	jq -e '.blockers[0].code == "sandbox"' <<<"$output"
	receive "$CPRCTL" run --receive "$VM_DIR/receive.sock" -- "$QEMU_NEW"
	give
	jq -e '.to.version | startswith("10.0")' "$VM_DIR/result.json"
	[ "$(vm_version)" = 10.0 ]
	grep -q '^Seccomp:.*2' "/proc/$VM_PID/status"
	[ "$(cat "$VM_DIR/pid")" = "$VM_PID" ]
	guest_alive
	# Through a command, as another cgroup or namespace would be entered.
	receive "$CPRCTL" run --receive "$VM_DIR/receive.sock" -- nice -n 5 "$QEMU_OLD"
	give
	vm_runs old
	[ "$(ps -o ni= -p "$VM_PID" | tr -d ' ')" = 5 ]
	guest_alive
	stop_serial_client
	stop_qmp_client
}

@test "nobody waits there, or something else: the guest was never touched" {
	boot_guest -M "$MACHINE"
	start_serial_client --rate 100
	run -1 ctl update --json --to "$VM_DIR/receive.sock" "$VM_PID"
	jq -e '.outcome == "refused" and (.reasons[0] | test("No such file"))' <<<"$output"
	receive "$CPRCTL" run --receive "$VM_DIR/receive.sock" -- /bin/true
	run -1 ctl update --json --to "$VM_DIR/receive.sock" "$VM_PID"
	jq -e '.outcome == "refused" and (.reasons[0] | test("did not come up"))' <<<"$output"
	run -1 ctl update --json --method exec --to "$VM_DIR/receive.sock" "$VM_PID"
	jq -e '.blockers[0].code == "method"' <<<"$output"
	run -2 ctl update --to "$VM_DIR/receive.sock" --binary "$QEMU_NEW" "$VM_PID"
	guest_alive
	stop_serial_client
}
