# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# A systemd of the test's own, whatever is this machine's PID 1 (test/systemd/boot.sh). Load after common.bash.

# start_systemd: with the units in $VM_DIR/units, and targets without anything in them for what every unit wants.
start_systemd() {
	local target

	for target in basic default shutdown sysinit; do
		printf '[Unit]\nDescription=%s\n' "$target" >"$VM_DIR/units/$target.target"
	done
	start_background "$VM_DIR/systemd.log" "$TEST_DIR/systemd/boot.sh" "$VM_DIR" /lib/systemd/systemd
	SYSTEMD_PID=$!
	wait_for 10 inside systemctl is-system-running
}

# stop_systemd: with all that it runs; its cgroups go too.
stop_systemd() {
	kill -TERM "$SYSTEMD_PID"
	wait_for 10 is_gone "$SYSTEMD_PID"
	wait "$SYSTEMD_PID"
}

# inside COMMAND...: among its processes, with its files
inside() { nsenter -t "$(cat "$VM_DIR/init")" -m -p -n -C "$@"; }

# start_inside LOG COMMAND...: like start_background; PID in $!, as it is here.
start_inside() { start_background "$1" nsenter -t "$(cat "$VM_DIR/init")" -m -p -n -C "${@:2}"; }
