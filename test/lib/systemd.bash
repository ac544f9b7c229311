# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# A systemd of the test's own, whatever is this machine's PID 1 (test/systemd/boot.sh). Load after common.bash and
# scripts/lib.sh.

# fetch_systemd DIR: Debian 13's, which has Type=notify-reload, with the loader and the libraries that it needs; it is NEW_SYSTEMD
# then.
fetch_systemd() {
	local lib=$1/usr/lib/x86_64-linux-gnu package

	NEW_SYSTEMD=$1/usr/lib/systemd/systemd
	[ ! -x "$NEW_SYSTEMD" ] || return 0
	mkdir -p "$1/packages"
	fetch_closure "$1/packages" trixie systemd
	for package in "$1/packages/"*.deb; do
		dpkg-deb -x "$package" "$1"
	done
	patchelf --set-rpath "$lib" "$lib/systemd/"*.so
	patchelf --set-interpreter "$lib/ld-linux-x86-64.so.2" --set-rpath "$lib:$lib/systemd" "$NEW_SYSTEMD" "$NEW_SYSTEMD-executor"
}

# start_systemd [SYSTEMD]: this machine's, or that; with the units in $VM_DIR/units, and targets without anything in them for what
# every unit wants.
start_systemd() {
	local target

	for target in basic default shutdown sysinit; do
		printf '[Unit]\nDescription=%s\n' "$target" >"$VM_DIR/units/$target.target"
	done
	start_background "$VM_DIR/systemd.log" "$TEST_DIR/systemd/boot.sh" "$VM_DIR" "${1:-/usr/lib/systemd/systemd}"
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
