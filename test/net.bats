#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# net.bats - network back ends across updates: taps in every form, networks over sockets, and the user network.

load lib/common
load lib/linuxguest
load lib/network

setup() {
	setup_vm_dir
	LINUX_APPEND=
}

teardown() { teardown_vm_dir; }

# --- taps ---

NIC=virtio-net-pci,id=nic0,netdev=net0,mac=52:54:00:11:00:02

# start_flows N RATE: that many UDP streams there and back, each of which is a flow of its own for the tap's queues.
start_flows() {
	local i

	FLOWS=()
	BLACKOUT_MS=0
	for ((i = 0; i < $1; i++)); do
		start_background "$VM_DIR/flow$i.json" ip netns exec "$NETNS" "$TOOLS/pinger.py" --udp 7 --rate "$2" "$GUEST_ADDRESS"
		FLOWS+=($!)
	done
	for ((i = 0; i < $1; i++)); do
		wait_for 10 grep -q ready "$VM_DIR/flow$i.json"
	done
}

# stop_flows RATE: of no flow more is lost than the blackouts explain; nothing, where the machine is not busy.
stop_flows() {
	local i summary may_lose=$((BLACKOUT_MS * $1 / 1000))

	for i in "${!FLOWS[@]}"; do
		summary=$(stop_client "${FLOWS[i]}" "$VM_DIR/flow$i.json" || true)
		echo "flow: $summary" >&2
		jq -e --argjson most "$may_lose" '.doubled == 0 and .lost <= $most and .received > 100' <<<"$summary"
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

# start_traffic: 1,000 datagrams a second and back, and TCP connections besides.
start_traffic() {
	start_echoes 4 "$GUEST_ADDRESS" 7 --rate 125
	start_flows 4 250
}

stop_traffic() {
	stop_echoes
	stop_flows 250
}

# However long the blackout is on a busy machine, what comes meanwhile waits in the taps.
make_room() {
	local tap

	for tap in $(ip netns exec "$NETNS" sh -c 'ls -d /sys/class/net/*/tun_flags' | cut -d / -f 5); do
		ip -n "$NETNS" link set "$tap" txqueuelen 5000
	done
}

# tap_test QUEUES-IN-USE [UPDATES...]: the traffic goes on, the interface stays up, and the queues are as they were.
tap_test() {
	local queues=$1 in_guest qemu

	shift
	make_room
	start_serial_client
	in_guest=$(ask queues QUEUES)
	[[ $in_guest == "QUEUES $queues of "* ]]
	watch_link
	start_traffic
	[ "$queues" = 1 ] || both_pairs_work
	for qemu in "${@:-new old new}"; do
		update_vm "$qemu"
		jq -e '.warnings == [] and .closed == []' <<<"$UPDATE_RESULT"
		BLACKOUT_MS=$((BLACKOUT_MS + $(jq '.blackout_ms | round' <<<"$UPDATE_RESULT")))
		[ "$(queues_on)" = "$queues" ]
		[ "$(ask queues QUEUES)" = "$in_guest" ]
		[ "$queues" = 1 ] || both_pairs_work
	done
	stop_traffic
	stop_serial_client
	link_was_quiet
}

@test "queues=4 by name, two of them on: state, order and packets of every queue" {
	local which

	make_netns multi_queue
	for which in up down; do
		printf '#!/bin/sh\necho "$1" >>%s\n' "$VM_DIR/$which.log" >"$VM_DIR/$which"
		chmod +x "$VM_DIR/$which"
	done
	boot_linux -M q35 -accel tcg,thread=multi -smp 2 -device "$NIC,mq=on,vectors=10" \
		-netdev "tap,id=net0,ifname=$TAP,queues=4,script=$VM_DIR/up,downscript=$VM_DIR/down"
	[ "$(tap_numbers | wc -l)" = 4 ]
	wait_for 10 queues_are_on 2
	tap_test 2 new old new
	[ "$(tap_numbers | wc -l)" = 4 ]
	# The scripts run once, not again: up at the start, down at the end.
	[ "$(cat "$VM_DIR/up.log")" = "$TAP" ]
	[ ! -e "$VM_DIR/down.log" ]
	end_process "$VM_PID"
	[ "$(cat "$VM_DIR/down.log")" = "$TAP" ]
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

# --- networks over sockets ---

info_network() {
	vm_ctl '{"execute": "human-monitor-command", "arguments": {"command-line": "info network"}}' | jq -r .
}

# add_netdev NAME OPTIONS: one more port of the hub that all of this VM's back ends are at.
add_netdev() {
	HUB+=(-netdev "$2,id=$1" -netdev "hubport,id=$1hub,hubid=0,netdev=$1")
}

# start_station N ARGUMENTS: see tools/station.py; rate by number so that they do not go in step.
start_station() {
	local n=$1

	shift
	start_background "$VM_DIR/station$n.json" ip netns exec "$NETNS" "$TOOLS/station.py" --after "$VM_DIR/go" --number "$n" "$@"
	STATIONS[n]=$!
}

station_ready() { grep -q ready "$VM_DIR/station$1.json"; }

begin_packets() {
	local n

	for n in "${!STATIONS[@]}"; do
		wait_for 10 station_ready "$n"
	done
	touch "$VM_DIR/go"
	packets_pass
}

packets_pass() {
	local n

	for n in "${!STATIONS[@]}"; do
		[ "$n" = 0 ] || packets_pass_of "$n"
	done
}

packets_pass_of() { wait_for 20 has_answers "$1" $(($(answers_of "$1") + 5)); }

# Each station that asks tells on SIGUSR1 how many answers it has.
answers_of() {
	local lines

	lines=$(grep -c answers "$VM_DIR/station$1.json" || true)
	kill -USR1 "${STATIONS[$1]}"
	wait_for 10 has_lines "$1" $((lines + 1))
	grep answers "$VM_DIR/station$1.json" | tail -n 1 | jq .answers
}

has_lines() { [ "$(grep -c answers "$VM_DIR/station$1.json")" -ge "$2" ]; }
has_answers() { [ "$(answers_of "$1")" -ge "$2" ]; }

stop_stations() {
	local n

	# Those that ask before the one that answers.
	for n in $(printf '%s\n' "${!STATIONS[@]}" | sort -rn); do
		stop_client "${STATIONS[n]}" "$VM_DIR/station$n.json"
	done
}

# The hub's own packets: "hub 0 with no nics" is said, and harmless.
@test "stream, dgram and socket in every form: no packet is lost, changed or shifted" {
	make_netns
	HUB=()
	add_netdev client "stream,server=off,addr.type=unix,addr.path=$VM_DIR/0.sock"
	add_netdev server stream,server=on,addr.type=inet,addr.host=127.0.0.1,addr.port=4001
	add_netdev connect socket,connect=127.0.0.1:4002
	add_netdev listen socket,listen=127.0.0.1:4003
	add_netdev udp socket,udp=127.0.0.1:4004,localaddr=127.0.0.1:4005
	add_netdev path "dgram,local.type=unix,local.path=$VM_DIR/local.sock,remote.type=unix,remote.path=$VM_DIR/remote.sock"
	add_netdev inet dgram,local.type=inet,local.host=127.0.0.1,local.port=4006,remote.type=inet,remote.host=127.0.0.1,remote.port=4007
	add_netdev number socket,fd=21
	STATIONS=()
	start_station 0 listen "$VM_DIR/0.sock"
	start_station 2 --dribble 3 listen 127.0.0.1:4002
	start_station 5 dgram 127.0.0.1:4004 127.0.0.1:4005
	start_station 6 dgram "$VM_DIR/remote.sock" "$VM_DIR/local.sock"
	start_station 7 dgram 127.0.0.1:4007 127.0.0.1:4006
	start_station 9 --dribble 2 listen "$VM_DIR/9.sock"
	wait_for 5 test -S "$VM_DIR/0.sock" -a -S "$VM_DIR/9.sock"
	VM_WRAPPER+=("$TOOLS/connectfd.py" "$VM_DIR/9.sock" 21)
	boot_guest -M q35 "${HUB[@]}"
	start_station 1 connect 127.0.0.1:4001
	start_station 3 --dribble 4 connect 127.0.0.1:4003
	begin_packets
	local network
	network=$(info_network)
	update_vm new
	[ "$(info_network)" = "$network" ]
	packets_pass
	update_vm old
	packets_pass
	update_vm new
	jq -e '.warnings == [] and .closed == []' <<<"$UPDATE_RESULT"
	[ "$(info_network)" = "$network" ]
	packets_pass
	stop_stations
}

@test "dgram and socket to a multicast group" {
	make_netns
	ip -n "$NETNS" route add 230.0.0.0/8 dev lo
	HUB=()
	add_netdev group dgram,remote.type=inet,remote.host=230.0.0.1,remote.port=4008,local.type=inet,local.host=127.0.0.1,local.port=0
	add_netdev client "stream,server=off,addr.type=unix,addr.path=$VM_DIR/0.sock"
	STATIONS=()
	start_station 0 listen "$VM_DIR/0.sock"
	wait_for 5 test -S "$VM_DIR/0.sock"
	boot_guest -M q35 "${HUB[@]}" -netdev socket,mcast=230.0.0.2:4009,localaddr=127.0.0.1,id=second -netdev hubport,id=secondhub,hubid=1,netdev=second
	# QEMU hears what it sends to a group, and the hub passes that on: every answer comes twice.
	start_station 8 --doubled mcast 230.0.0.1:4008
	begin_packets
	update_vm new
	packets_pass
	update_vm old
	jq -e '.warnings == [] and .closed == []' <<<"$UPDATE_RESULT"
	packets_pass
	stop_stations
}

# What was sent to this listener's connection, and was not read, is more than 40 kB.
socket_is_full() {
	[ "$(ip netns exec "$NETNS" ss -xHn | awk -v path="$1" '$5 == path && $3 > 40000' | wc -l)" -gt 0 ]
}

@test "a peer that does not read: half a packet gets its other half, whole ones may be lost; reconnect=" {
	make_netns
	use_qemu new
	HUB=()
	add_netdev client "stream,server=off,addr.type=unix,addr.path=$VM_DIR/0.sock,reconnect=1"
	add_netdev other "stream,server=off,addr.type=unix,addr.path=$VM_DIR/1.sock"
	add_netdev stalled "stream,server=off,addr.type=unix,addr.path=$VM_DIR/2.sock"
	add_netdev idle "stream,server=on,addr.type=unix,addr.path=$VM_DIR/3.sock"
	STATIONS=()
	start_station 0 listen "$VM_DIR/0.sock"
	start_station 1 --rate 500 listen "$VM_DIR/1.sock"
	start_station 2 --lossy listen "$VM_DIR/2.sock"
	wait_for 5 test -S "$VM_DIR/0.sock" -a -S "$VM_DIR/1.sock" -a -S "$VM_DIR/2.sock"
	boot_guest -M pc-q35-7.2 "${HUB[@]}"
	# It says nothing, so that QEMU would wait long for it.
	start_link idle "$VM_DIR/3.sock"
	begin_packets
	# The hub gives every packet to everybody: this one's socket is full soon.
	kill -STOP "${STATIONS[2]}"
	wait_for 30 socket_is_full "$VM_DIR/2.sock"
	update_vm new
	jq -e '.warnings == [] and .blackout_ms < 900' <<<"$UPDATE_RESULT"
	# QEMU 7.2 does not know reconnect=, and a rehearsal would tell before the guest is touched.
	use_qemu old
	fails update_by_ctl --method exec --no-rehearse
	jq -e '.outcome == "failed" and (.reasons[0] | test("reconnect"))' <<<"$UPDATE_RESULT"
	packets_pass_of 1
	update_vm new
	jq -e '.warnings == [] and .closed == []' <<<"$UPDATE_RESULT"
	kill -CONT "${STATIONS[2]}"
	packets_pass
	stop_stations
}

@test "passt: TCP connections of a guest stay, and its peer never sees the end of the connection" {
	make_netns
	# Where passt takes addresses from; the tap is nobody's here.
	ip -n "$NETNS" route add default via 10.111.0.254
	chmod 755 "$VM_DIR"
	mkdir -m 777 "$VM_DIR/passt"
	start_background "$VM_DIR/passt.log" ip netns exec "$NETNS" passt -f -q -4 -1 -s "$VM_DIR/passt/sock" \
		-a "$GUEST_ADDRESS" -n 24 -g 10.111.0.254 -t 4010:7
	PASST_PID=$!
	wait_for 10 test -S "$VM_DIR/passt/sock"
	boot_linux -M q35 -accel tcg -device virtio-net-pci,netdev=net0 \
		-netdev "stream,id=net0,server=off,addr.type=unix,addr.path=$VM_DIR/passt/sock"
	start_serial_client
	# passt asks a guest that is not there yet once, and not again.
	wait_for 30 ip netns exec "$NETNS" sh -c 'echo there | timeout 2 socat -t 1 - TCP:127.0.0.1:4010 | grep -q there'
	start_echoes 4 127.0.0.1 4010 --rate 250
	local qemu
	for qemu in new old new old; do
		update_vm "$qemu"
		jq -e '.warnings == [] and .closed == []' <<<"$UPDATE_RESULT"
		kill -0 "$PASST_PID"
	done
	stop_echoes
	start_echoes 1 127.0.0.1 4010
	stop_echoes
	[ "$(guest_status bad)" = 0 ]
	stop_serial_client
	# With -1 passt ends with its first connection.
	vm_ctl quit
	wait_for 5 is_gone "$PASST_PID"
}

# --- the user network ---

# lease N [ADDRESS]: what the N-th guest without a VM is given, after which it pings the gateway.
lease() {
	ip netns exec "$NETNS" "$TOOLS/lease.py" "$VM_DIR/remote.sock" "$VM_DIR/local.sock" "$@"
}

@test "user network: leases and forwarded ports work on, connections through it are closed and named" {
	make_netns
	HUB=()
	add_netdev leases "dgram,local.type=unix,local.path=$VM_DIR/local.sock,remote.type=unix,remote.path=$VM_DIR/remote.sock"
	add_netdev pool user,dhcpstart=10.0.2.40,hostfwd=tcp:127.0.0.1:4020-10.0.2.15:7,hostfwd=udp:127.0.0.1:4021-10.0.2.15:7
	LINUX_APPEND="guest_ip=10.0.2.15/24"
	boot_linux -M q35 -accel tcg "${HUB[@]}" -netdev hubport,id=net0,hubid=0 -device virtio-net-pci,netdev=net0
	start_serial_client
	[ "$(lease 1)" = 10.0.2.40 ]
	[ "$(lease 2)" = 10.0.2.41 ]
	start_echoes 1 127.0.0.1 4020
	stop_echoes
	local qemu
	for qemu in new old; do
		start_echoes 1 127.0.0.1 4020
		update_vm "$qemu"
		jq -e '.warnings == [] and (.closed | map(.detail) | unique) == ["client of tcp:127.0.0.1:4020"]' <<<"$UPDATE_RESULT"
		wait_for 10 is_gone "${ECHOES[0]}"
		grep -q '"ok": false' "$VM_DIR/echoes0.json"
		[ "$(lease 2 10.0.2.41)" = 10.0.2.41 ]
		start_echoes 2 127.0.0.1 4020
		stop_echoes
	done
	# Those that were given before are not given again.
	[ "$(lease 3)" = 10.0.2.42 ]
	[ "$(lease 1 10.0.2.40)" = 10.0.2.40 ]
	[ "$(guest_status bad)" = 0 ]
	stop_serial_client
}

@test "several user networks are refused with QEMU 7.2, and updated with 10.0" {
	use_qemu new
	boot_guest -M pc-q35-7.2 -nic user,model=virtio -nic user,model=e1000
	update_vm new
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	end_process "$VM_PID"
	use_qemu old
	boot_guest -M pc-q35-7.2 -nic user,model=virtio -nic user,model=e1000
	fails update_vm new
	jq -e '.outcome == "refused" and (.reasons | length == 1) and (.reasons[0] | test("more than one user network"))' <<<"$UPDATE_RESULT"
	wait_for_guest 5
}
