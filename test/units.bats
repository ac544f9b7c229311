#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# units.bats - contrib/systemd's unit under a real systemd: start, reload and stop are what systemctl(1) says that they are.

bats_require_minimum_version 1.5.0

load lib/common
. "$CPRSHIM_SRCDIR/scripts/lib.sh"
load lib/systemd

UNIT=cprshim-vm@one.service

# The template as it is, but for where this build, this test's QEMU, its configuration and its log are.
setup() {
	setup_vm_dir
	mkdir -p "$VM_DIR/units/cprshim-vm@.service.d"
	printf '[Service]\nStandardOutput=append:%s\n' "$VM_LOG" >"$VM_DIR/units/cprshim-vm@.service.d/log.conf"
	sed "s,/usr/bin/cprctl,$CPRCTL,; s,/usr/bin/qemu,$VM_DIR/qemu,; s,/etc/cprshim,$VM_DIR," \
		"$CPRSHIM_SRCDIR/contrib/systemd/cprshim-vm@.service" >"$VM_DIR/units/cprshim-vm@.service"
	echo "QEMU_ARGS=-M pc-q35-7.2 -m 64 -kernel $GUEST -serial unix:$VM_SERIAL,server=on,wait=off" >"$VM_DIR/one.conf"
}
teardown() { teardown_vm_dir; }

# unit_is PROPERTY PATTERN
unit_is() {
	local value

	value=$(inside systemctl show -P "$1" "$UNIT")
	[[ $value =~ ^($2)$ ]] || {
		echo "$1 is $value, not $2" >&2
		return 1
	}
}

main_pid() { inside systemctl show -P MainPID "$UNIT"; }

# The main process runs the binary, as systemd has it, and the guest goes on.
runs() {
	unit_is ActiveState active
	unit_is SubState running
	unit_is StatusText "$2"
	inside test "/proc/$(main_pid)/exe" -ef "$1"
	guest_alive
}

# slow_qemu: QEMU 10.0 as a script that waits for a line from $VM_DIR/go before its first run
slow_qemu() {
	mkfifo "$VM_DIR/go"
	cat >"$VM_DIR/slow" <<-END
		#!/bin/sh
		if mkdir $VM_DIR/asked 2>/dev/null; then read -r line <$VM_DIR/go; fi
		exec $QEMU_NEW "\$@"
	END
	chmod 755 "$VM_DIR/slow"
	use_qemu "$VM_DIR/slow"
}

# reload_waits: until the update is over; the guest runs meanwhile, in the process that it had.
reload_waits() {
	local pid reload

	pid=$(main_pid)
	slow_qemu
	start_inside "$VM_DIR/reload.log" systemctl reload "$UNIT"
	reload=$!
	wait_for 10 test -d "$VM_DIR/asked"
	unit_is ActiveState reloading
	unit_is StatusText 'QEMU 7\.2.*: update'
	fails is_gone "$reload"
	guest_alive
	echo >"$VM_DIR/go"
	wait_for 30 is_gone "$reload"
	wait "$reload"
	runs "$QEMU_NEW" 'QEMU 10\.0.*: update updated'
	[ "$(main_pid)" = "$pid" ]
}

# starts_reloads_stops SYSTEMD
starts_reloads_stops() {
	local pid

	start_systemd "$1"
	inside systemctl start "$UNIT"
	pid=$(main_pid)
	wait_for_guest 20
	runs "$QEMU_OLD" 'QEMU 7\.2.*'

	reload_waits

	use_qemu /bin/true
	fails inside systemctl reload "$UNIT"
	runs "$QEMU_NEW" 'QEMU 10\.0.*: update refused: .*'
	inside systemctl status "$UNIT" | grep -F 'Status: "QEMU 10.0'
	[ "$(main_pid)" = "$pid" ]

	use_qemu old
	inside systemctl reload "$UNIT"
	runs "$QEMU_OLD" 'QEMU 7\.2.*: update updated'
	[ "$(main_pid)" = "$pid" ]
	unit_is NRestarts 0

	inside systemctl stop "$UNIT"
	unit_is Result success
	unit_is ExecMainStatus 0
	unit_is ActiveState inactive
	inside test ! -e "/proc/$pid"
	stop_systemd
}

@test "start waits for the VM, reload for the update's outcome, and fails where the guest was not updated; stop ends the VM" {
	starts_reloads_stops /usr/lib/systemd/systemd
}

@test "the same with Debian 13's systemd" {
	fetch_systemd "$BATS_FILE_TMPDIR/systemd"
	starts_reloads_stops "$NEW_SYSTEMD"
}

@test "systemd follows an update that others ask for, by each method" {
	local pid

	start_systemd
	inside systemctl start "$UNIT"
	pid=$(main_pid)
	wait_for_guest 20
	slow_qemu
	inside kill -USR2 "$pid"
	wait_for 10 unit_is ActiveState reloading
	echo >"$VM_DIR/go"
	wait_for 30 unit_is ActiveState active
	runs "$QEMU_NEW" 'QEMU 10\.0.*: update updated'
	inside "$CPRCTL" update --method relay --binary "$QEMU_OLD" "$pid"
	wait_for 10 unit_is ActiveState active
	runs "$QEMU_OLD" 'QEMU 7\.2.*: update updated'
	[ "$(main_pid)" = "$pid" ]
	inside "$CPRCTL" update --method transfer --binary "$QEMU_NEW" "$pid"
	wait_for 10 unit_is ActiveState active
	runs "$QEMU_NEW" 'QEMU 10\.0.*: update updated'
	[ "$(main_pid)" != "$pid" ]
	wait_for 10 inside test ! -e "/proc/$pid"
	runs "$QEMU_NEW" 'QEMU 10\.0.*: update updated'

	# What is left is a unit like any other, and systemd waits for a QEMU that it has not started.
	use_qemu old
	inside systemctl reload "$UNIT"
	runs "$QEMU_OLD" 'QEMU 7\.2.*: update updated'
	pid=$(main_pid)
	inside systemctl stop "$UNIT"
	unit_is Result success
	unit_is ActiveState inactive
	inside test ! -e "/proc/$pid"
	stop_systemd
}

@test "Type=notify-reload: the signal updates, and systemd knows when it is done" {
	fetch_systemd "$BATS_FILE_TMPDIR/systemd"
	printf '[Service]\nType=notify-reload\nReloadSignal=USR2\nExecReload=\n' >"$VM_DIR/units/cprshim-vm@.service.d/reload.conf"
	start_systemd "$NEW_SYSTEMD"
	inside systemctl start "$UNIT"
	unit_is Type notify-reload
	wait_for_guest 20
	reload_waits

	# What it has no word for is in the status.
	use_qemu /bin/true
	inside systemctl reload "$UNIT"
	runs "$QEMU_NEW" 'QEMU 10\.0.*: update refused: .*'
	inside systemctl stop "$UNIT"
	unit_is Result success
	stop_systemd
}

@test "under systemd-run" {
	local pid

	start_systemd
	start_inside "$VM_LOG" systemd-run --quiet --scope --unit vm env "LD_PRELOAD=$SHIM" "$VM_DIR/qemu-system-x86_64" -nodefaults \
		-display none -M pc-q35-7.2 -m 64 -kernel "$GUEST" -serial "unix:$VM_SERIAL,server=on,wait=off" -pidfile "$VM_DIR/pid"
	wait_for 20 test -s "$VM_DIR/pid"
	pid=$(cat "$VM_DIR/pid")
	wait_for_guest 20
	for binary in "$QEMU_NEW" "$QEMU_OLD"; do
		inside "$CPRCTL" update --binary "$binary" "$pid"
		inside test "/proc/$pid/exe" -ef "$binary"
		guest_alive
		inside grep -qx 0::/system.slice/vm.scope "/proc/$pid/cgroup"
	done
	inside systemctl stop vm.scope
	inside test ! -e "/proc/$pid"
	stop_systemd
}

@test "the way back of method relay fails: the unit stays, with the process that has the guest" {
	local pid

	echo CPRSHIM_FAULT=relay-save:fail >>"$VM_DIR/one.conf"
	start_systemd
	inside systemctl start "$UNIT"
	pid=$(main_pid)
	wait_for_guest 20
	inside "$CPRCTL" update --method relay --binary "$QEMU_NEW" "$pid"
	wait_for 10 inside test ! -e "/proc/$pid"
	wait_for 10 unit_is ActiveState active
	runs "$QEMU_NEW" 'QEMU 10\.0.*: update updated'
	inside systemctl stop "$UNIT"
	unit_is Result success
	stop_systemd
}
