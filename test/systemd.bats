#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# systemd.bats - a VM as a unit of systemd's: the template, what it runs, and what the service manager is told (sd_notify(3)).

bats_require_minimum_version 1.5.0

load lib/common

setup() {
	setup_vm_dir
	start_background "$VM_DIR/told" "$TOOLS/notified.py" "$VM_DIR/notify"
	wait_for 5 test -S "$VM_DIR/notify"
	export NOTIFY_SOCKET=$VM_DIR/notify
}
teardown() { teardown_vm_dir; }

UNIT=$CPRSHIM_SRCDIR/contrib/systemd/cprshim-vm@.service

# told N FILTER: the message of this number, from 0, comes, and is so.
told() {
	wait_for 10 has_told "$1"
	sed -n "$(($1 + 1))p" "$VM_DIR/told" | tee /dev/stderr | jq -e --argjson pid "$VM_PID" "$2"
}

has_told() { [ "$(wc -l <"$VM_DIR/told")" -gt "$1" ]; }

# one_update FIRST OUTCOME COMMAND...: two messages in this order, and none before the command.
one_update() {
	local first=$1 outcome=$2

	shift 2
	[ "$(wc -l <"$VM_DIR/told")" = "$first" ]
	"$@"
	told "$first" '.RELOADING == "1" and .sender == $pid and (.now - (.MONOTONIC_USEC | tonumber) | . >= 0 and . < 60000000)'
	told $((first + 1)) ".READY == \"1\" and .MAINPID == \"\\(\$pid)\" and .sender == \$pid and (.STATUS | test(\"update $outcome\"))"
}

@test "the unit is one that systemd understands" {
	sed "s,/usr/bin/cprctl,$CPRCTL," "$UNIT" >"$VM_DIR/cprshim-vm@.service"
	run -0 systemd-analyze verify --man=no "$VM_DIR/cprshim-vm@x.service"
	[ -z "$output" ]
}

@test "the service manager is told when the VM is there, that an update begins, and how it ended, whoever asked for it" {
	boot_guest
	told 0 '.READY == "1" and .MAINPID == "\($pid)" and (.STATUS | test("^QEMU 7[.]2"))'
	one_update 1 updated update_by_ctl --method exec --binary "$QEMU_NEW"
	sed -n 3p "$VM_DIR/told" | jq -e '.STATUS | test("^QEMU 10[.]0")'
	one_update 3 updated update_vm old
	one_update 5 updated update_by_ctl --method relay --binary "$QEMU_NEW"
	one_update 7 "refused: .*" fails update_by_ctl --binary /bin/true
	guest_alive
}

@test "an update that fails is told; one that gives the VM another process says which" {
	local pid

	export CPRSHIM_FAULT=load
	boot_guest
	one_update 1 "failed: .*" fails update_by_ctl --method exec --no-rehearse --binary "$QEMU_NEW"
	end_process "$VM_PID"
	rm -f "$VM_DIR"/*.sock
	unset CPRSHIM_FAULT
	boot_guest
	pid=$VM_PID
	told 3 '.READY == "1"'
	update_by_ctl --method transfer --binary "$QEMU_NEW"
	VM_PID=$(jq -r .pid <<<"$UPDATE_RESULT")
	STARTED+=("$VM_PID")
	[ "$VM_PID" != "$pid" ]
	# At first, while the process that had the guest is there.
	told 5 '.MAINPID == "\($pid)" and (has("READY") | not) and .sender == $pid'
	told 6 '.READY == "1" and .MAINPID == "\($pid)" and .sender == $pid'
	guest_alive
}

# As the unit has it, with what systemd would put in the place of its names.
@test "what the unit runs: a VM that is there when it says so, whose reload ends with the update's outcome, and which a stop ends" {
	local start reload

	export CPRSHIM_RUNDIR=$VM_DIR/run QEMU_ARGS="-M q35 -m 64 -kernel $GUEST -serial unix:$VM_SERIAL,server=on,wait=off"
	start=$(sed -n 's,^ExecStart=/usr/bin/cprctl,,p' "$UNIT" | sed 's/%i/one/')
	reload=$(sed -n 's,^ExecReload=/usr/bin/cprctl,,p' "$UNIT")
	# shellcheck disable=SC2046,SC2116 # words, as systemd makes them
	start_background "$VM_LOG" "$CPRCTL" $(eval echo "$start")
	VM_PID=$!
	told 0 '.READY == "1" and .sender == $pid'
	wait_for_guest 20
	# shellcheck disable=SC2046
	MAINPID=$VM_PID one_update 1 updated "$CPRCTL" $(MAINPID=$VM_PID eval echo "$reload")
	ctl inhibit "$VM_PID" --reason "not now"
	# shellcheck disable=SC2046
	one_update 3 'refused: .*not now' fails "$CPRCTL" $(MAINPID=$VM_PID eval echo "$reload")
	guest_alive
	kill -TERM "$VM_PID"
	wait_for 10 is_gone "$VM_PID"
}

# fill_queue: until nobody can send anything. How much one socket can is limited, too.
fill_queue() {
	python3 -c 'import socket, sys
full = False
while not full:
    full = True
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        sender.connect(sys.argv[1])
        try:
            while sender.send(b"X=1"):
                full = False
        except BlockingIOError:
            pass' "$VM_DIR/notify"
}

# A thread of the VM's child is in sendto(2), which waits.
child_sends() {
	local child

	for child in $(children); do
		grep -qs '^44 ' "/proc/$child"/task/*/syscall && return
	done
	return 1
}

@test "a manager that is busy when the VM gets another process is told all the same, before the old one ends" {
	local old sink=$!

	boot_guest
	told 0 '.READY == "1"'
	old=$VM_PID
	kill -STOP "$sink"
	fill_queue
	start_background "$VM_DIR/update.json" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --json --method transfer --binary "$QEMU_NEW" "$VM_PID"
	wait_for 30 child_sends
	fails is_gone "$old"
	kill -CONT "$sink"
	wait_for 30 jq -e '.outcome == "updated"' "$VM_DIR/update.json"
	VM_PID=$(jq -r .pid "$VM_DIR/update.json")
	STARTED+=("$VM_PID")
	wait_for 10 grep -q "\"MAINPID\": \"$VM_PID\"" "$VM_DIR/told"
	grep "\"MAINPID\": \"$VM_PID\"" "$VM_DIR/told" | head -n 1 | jq -e 'has("READY") | not'
	guest_alive
}
