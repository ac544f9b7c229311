# SPDX-License-Identifier: LGPL-2.1-or-later
# faults.bash - a VM that is to come through updates that are broken at every stage (loader/fault.h): a Linux guest that is pinged
# and connected to over a tap, writes its disk, and checks its RAM.
#
# UPDATE_ARGS are what every update is asked for with.

# shellcheck disable=SC2034 # boot_busy reads it
MACHINE=pc-q35-7.2

# Two connections, a disk in an I/O thread; few enough descriptors that "fds" comes to an end soon.
begin() {
	FAULTS=$VM_DIR/faults
	: >"$FAULTS"
	export CPRSHIM_FAULT=@$FAULTS
	ulimit -n 1024
	boot_busy
	start_pinger --rate 10
	start_echoes 2 "$GUEST_ADDRESS" 7
}

# finish [LOST]: nothing was lost by anybody but that many packets, and nothing is left of all the updates.
finish() {
	let_guest_work 1
	[ "$(guest_status bad)" = 0 ]
	# How much may be lost is this test's to say.
	stop_pinger | tee "$VM_DIR/summary.json" >&2 || true
	jq -e --argjson lost "${1:-0}" '.lost <= $lost and .doubled == 0 and .sent > 50' "$VM_DIR/summary.json"
	stop_echoes >/dev/null
	stop_qmp_client
	wait_for 5 has_no_child
	power_off
	serial_was_whole
	qemu-img check -q "$VM_DIR/disk.qcow2"
	disk_is_whole "$VM_DIR/disk.qcow2" qcow2
}

ctl_update() {
	CPRSHIM_RUNDIR=$VM_DIR/run timeout 120 "$CPRCTL" update --json "${UPDATE_ARGS[@]}" "$@" "$VM_PID"
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

# goes_on_as PID: of the VM from here on.
goes_on_as() {
	[ "$1" = "$VM_PID" ] || STARTED+=("$1")
	VM_PID=$1
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
	goes_on_as "$(jq -r ".pid // $pid" <<<"$output")"
	if [ "${4:-}" = moves ]; then
		[ "$VM_PID" != "$pid" ]
		is_gone "$pid"
	else
		[ "$VM_PID" = "$pid" ]
	fi
	[ "/proc/$VM_PID/exe" -ef "$binary" ]
	all_goes_on
	run -0 --separate-stderr ctl_update --binary "$to"
	goes_on_as "$(jq -r ".pid // $VM_PID" <<<"$output")"
}

# --- an update that is held at a stage ---

# hold_update STAGE: one by cprctl has come to the stage, and waits there. FAULTS names CPRSHIM_FAULT's file.
hold_update() {
	TO=$(other)
	# shellcheck disable=SC2034 # for the test that asks
	COUNT=$(update_count)
	echo "--- $1, to $TO" >&2
	echo "$1:wait" >"$FAULTS"
	rm -f "$VM_DIR/update.json" "$VM_DIR/update.rc"
	# shellcheck disable=SC2016 # the inner shell expands it
	start_background "$VM_DIR/update.log" env "CPRSHIM_RUNDIR=$VM_DIR/run" sh -c '"$@" >"$0.json"; echo $? >"$0.rc"' \
		"$VM_DIR/update" "$CPRCTL" update --json "${UPDATE_ARGS[@]}" --binary "$TO" "$VM_PID"
	wait_for 60 test -e "$FAULTS.$1"
}

# let_go STAGE: the update goes on, and comes to its end.
let_go() {
	: >"$FAULTS"
	rm "$FAULTS.$1"
	wait_for 60 test -s "$VM_DIR/update.rc"
	UPDATE_RESULT=$(cat "$VM_DIR/update.json")
	echo "rc $(cat "$VM_DIR/update.rc"): $(jq -c '[.outcome, .reasons]' <<<"$UPDATE_RESULT")" >&2
}

outcome_is() { [ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = "$1" ]; }
