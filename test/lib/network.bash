# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What tests of taps share, on top of make_netns of common.bash: the interface as the host sees it, and clients.

# The interface as the host sees it: how often its link went up or down, and what happened to it since the monitor began.
carrier_changes() {
	ip netns exec "$NETNS" cat "/sys/class/net/$TAP/carrier_changes"
}

watch_link() {
	start_background "$VM_DIR/links.log" ip -n "$NETNS" -o monitor link
	LINK_MONITOR=$!
	# A change that must be seen shows that the monitor listens.
	ip -n "$NETNS" tuntap add dev probe0 mode tap
	wait_for 5 probe_is_seen
	: >"$VM_DIR/links.log"
}

probe_is_seen() {
	ip -n "$NETNS" link set probe0 up
	ip -n "$NETNS" link set probe0 down
	grep -q probe0 "$VM_DIR/links.log"
}

# link_was_quiet: since watch_link the tap was there and up all the time. A new QEMU does switch its offloads off and on again,
# and a bridge tells what it makes of its ports.
link_was_quiet() {
	wait_for 5 probe_is_seen
	end_process "$LINK_MONITOR"
	if grep -w "$TAP" "$VM_DIR/links.log" | grep -vE '^[0-9]+: .*[<,]UP,LOWER_UP[,>].* (event FEATURE CHANGE|master .* state UNKNOWN) '; then
		return 1
	fi
}

offloads() {
	ip netns exec "$NETNS" "$TOOLS/offloads.py" "$TAP"
}

no_ping_lost() {
	local summary

	# What it says counts, and is to be seen.
	summary=$(stop_pinger) || true
	echo "pings: $summary" >&2
	[ "$(jq .ok <<<"$summary")" = true ] && [ "$(jq .sent <<<"$summary")" -gt "$1" ]
}

# start_echoes N HOST PORT: that many TCP connections from the namespace to an echo service, with numbered records.
start_echoes() {
	local count=$1 i

	shift
	ECHOES=()
	# One after the other: the guest's service has room for two that are not accepted yet.
	for ((i = 0; i < count; i++)); do
		rm -f "$VM_DIR/echoes$i.json"
		start_background "$VM_DIR/echoes$i.json" ip netns exec "$NETNS" "$TOOLS/echoes.py" "$@"
		ECHOES+=($!)
		wait_for 20 grep -q answered "$VM_DIR/echoes$i.json" || {
			cat "$VM_DIR/echoes$i.json" >&2
			return 1
		}
	done
}

# Every byte of every connection came back.
stop_echoes() {
	local i

	for i in "${!ECHOES[@]}"; do
		stop_client "${ECHOES[i]}" "$VM_DIR/echoes$i.json"
	done
}
