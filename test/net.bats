#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# net.bats - network back ends across updates: taps in every form, networks over sockets, and the user network.

load lib/common
load lib/network

setup() {
	setup_vm_dir
	LINUX_APPEND=
}

teardown() { teardown_vm_dir; }

# --- taps ---

NIC=virtio-net-pci,id=nic0,netdev=net0,mac=52:54:00:11:00:02

# start_flows N RATE: that many pingers, each of which is a flow of its own for the tap's queues.
start_flows() {
	local i

	FLOWS=()
	for ((i = 0; i < $1; i++)); do
		start_background "$VM_DIR/flow$i.json" ip netns exec "$NETNS" "$TOOLS/pinger.py" --rate "$2" "$GUEST_ADDRESS"
		FLOWS+=($!)
	done
	for ((i = 0; i < $1; i++)); do
		wait_for 10 grep -q ready "$VM_DIR/flow$i.json"
	done
}

# Every flow went on without a loss.
stop_flows() {
	local i

	for i in "${!FLOWS[@]}"; do
		stop_client "${FLOWS[i]}" "$VM_DIR/flow$i.json"
	done
}

# How many of the tap's queues are on, as the kernel has it.
queues_on() {
	ip netns exec "$NETNS" sh -c "ls -d /sys/class/net/$TAP/queues/tx-*" | wc -l
}

queues_are_on() { [ "$(queues_on)" = "$1" ]; }

# Which of QEMU's descriptors are queues of a tap, with their numbers.
tap_numbers() {
	grep -l '^iff:.*[a-z]' "/proc/$VM_PID/fdinfo"/* 2>/dev/null | sed 's,.*/,,' | sort -n
}

# vq_index N: how many buffers of this virtqueue the device has taken (0 rx0, 1 tx0, 2 rx1, 3 tx1).
vq_index() {
	vm_ctl "{\"execute\": \"x-query-virtio-queue-status\", \"arguments\":
		{\"path\": \"/machine/peripheral/nic0/virtio-backend\", \"queue\": $1}}" | jq '."used-idx"'
}

vq_moves_from() {
	[ "$(vq_index "$1")" != "$2" ]
}

# Packets go through both queue pairs that the guest with two CPUs uses.
both_pairs_work() {
	local vq before

	for vq in 0 1 2 3; do
		before=$(vq_index "$vq")
		wait_for 10 vq_moves_from "$vq" "$before"
	done
}

# start_traffic: 1,000 packets a second and back, half of them over TCP.
start_traffic() {
	start_echoes 4 "$GUEST_ADDRESS" 7 --rate 125
	start_flows 4 125
}

stop_traffic() {
	stop_echoes
	stop_flows
}

# tap_test QUEUES-IN-USE [UPDATES...]: the traffic goes on, the interface stays up, and the queues are as they were.
tap_test() {
	local queues=$1 qemu

	shift
	watch_link
	start_traffic
	[ "$queues" = 1 ] || both_pairs_work
	for qemu in "${@:-new old new}"; do
		update_vm "$qemu"
		jq -e '.warnings == [] and .closed == []' <<<"$UPDATE_RESULT"
		[ "$(queues_on)" = "$queues" ]
		[ "$queues" = 1 ] || both_pairs_work
	done
	stop_traffic
	link_was_quiet
}

@test "queues=4 by name, two of them on: state, order and packets of every queue" {
	make_netns multi_queue
	boot_linux -M q35 -accel tcg,thread=multi -smp 2 -device "$NIC,mq=on,vectors=10" \
		-netdev "tap,id=net0,ifname=$TAP,queues=4,script=no,downscript=no"
	[ "$(tap_numbers | wc -l)" = 4 ]
	wait_for 10 queues_are_on 2
	tap_test 2 new old new
	[ "$(tap_numbers | wc -l)" = 4 ]
}

@test "fds= and fd=: queues and a tap that QEMU was given by number" {
	make_netns multi_queue
	ip -n "$NETNS" tuntap add dev tap1 mode tap
	VM_WRAPPER+=("$TOOLS/tapfd.py" "$TAP" 31 30 -- "$TOOLS/tapfd.py" tap1 33 --)
	boot_linux -M q35 -accel tcg,thread=multi -smp 2 -device "$NIC,mq=on,vectors=6" -netdev tap,id=net0,fds=31:30 \
		-device virtio-net-pci,netdev=net1 -netdev '{"type": "tap", "id": "net1", "fd": "33", "vhost": false}'
	[ "$(tap_numbers | paste -sd " ")" = "30 31 33" ]
	wait_for 10 queues_are_on 2
	tap_test 2 new old
	[ "$(tap_numbers | paste -sd " ")" = "30 31 33" ]
	vm_ctl '{"execute": "human-monitor-command", "arguments": {"command-line": "info network"}}' | grep -q 'fd=33'
}

# make_bridge: a bridge instead of the tap, and the bridge helper behind a script that counts its runs.
make_bridge() {
	make_netns
	ip -n "$NETNS" link delete "$TAP"
	TAP=br0
	ip -n "$NETNS" link add "$TAP" type bridge
	ip -n "$NETNS" address add "$HOST_ADDRESS/24" dev "$TAP"
	ip -n "$NETNS" link set "$TAP" up
	echo "allow $TAP" >"$VM_DIR/bridge.conf"
	cat >"$VM_DIR/helper" <<-END
		#!/bin/sh
		echo run >>$VM_DIR/helper.log
		exec /usr/lib/qemu/qemu-bridge-helper "\$@"
	END
	chmod +x "$VM_DIR/helper"
	# The helper reads its list from one place only: the VM has an /etc of its own.
	VM_WRAPPER+=(sh -c 'cp -a /etc "$0" && mkdir -p "$0/etc/qemu" && cp "$0/bridge.conf" "$0/etc/qemu" &&
		mount --bind "$0/etc" /etc && exec "$@"' "$VM_DIR")
}

# On which tap the bridge sees the guest's network card.
guest_port() {
	ip netns exec "$NETNS" bridge fdb show br "$TAP" | grep -m 1 '^52:54:00:11:00:02' | cut -d ' ' -f 3
}

@test "taps that a bridge helper made: the helper runs once, not again" {
	make_bridge
	# In the order in which QEMU makes them: net0, net1, the card of -nic.
	boot_linux -M q35 -accel tcg -nic "bridge,br=$TAP,helper=$VM_DIR/helper,model=virtio,mac=52:54:00:11:00:02" \
		-device virtio-net-pci,netdev=net1 -netdev "tap,id=net1,br=$TAP,helper=$VM_DIR/helper" -device virtio-net-pci,netdev=net0 \
		-netdev "{\"type\": \"bridge\", \"id\": \"net0\", \"br\": \"$TAP\", \"helper\": \"$VM_DIR/helper\"}"
	[ "$(wc -l <"$VM_DIR/helper.log")" = 3 ]
	local port numbers
	ip netns exec "$NETNS" ping -qc 1 "$GUEST_ADDRESS"
	port=$(guest_port)
	numbers=$(tap_numbers)
	tap_test 1 new old new
	[ "$(guest_port)" = "$port" ]
	[ "$(tap_numbers)" = "$numbers" ]
	[ "$(wc -l <"$VM_DIR/helper.log")" = 3 ]
	vm_ctl quit
	wait_for 5 is_gone "$VM_PID"
	fails grep -q "^tap" <(ip -n "$NETNS" -o link show type tun | cut -d " " -f 2)
}
