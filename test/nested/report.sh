# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# report.sh - what the scripts share that run in the nested guest, with "set -eE". "passed: WHAT" after each part; the first failure
# ends it all, with what there are of logs.

tell() {
	local rc=$1 file

	echo "failed ($rc): line $2: $3"
	for file in "$VM_DIR"/*.log "$VM_DIR"/*.json "$VM_DIR"/*.out; do
		[ -s "$file" ] || continue
		echo "==> $file"
		tail -n 12 "$file"
	done
}
trap 'tell $? "$LINENO" "$BASH_COMMAND"' ERR

passed() { echo "passed: $* ($(cut -d . -f 1 /proc/uptime) s)"; }

# update_fails BINARY PATTERN: by exec, for a reason like that.
update_fails() {
	fails update_by_ctl --method exec --no-rehearse --binary "$1"
	jq -e --arg why "$2" '.outcome == "failed" and (.reasons[0] | test($why))' <<<"$UPDATE_RESULT" >/dev/null
}

profile_is() { [ "$(cat "/proc/$VM_PID/attr/apparmor/current")" = "$1 (enforce)" ]; }
denied() { dmesg | grep 'apparmor="DENIED"' | grep "profile=\"$1\""; }
