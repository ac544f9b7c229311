#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# passed.bats - descriptors that monitors' clients pass in under a name (getfd), before and after something takes them.

load lib/common

setup() {
	setup_vm_dir
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=load@2
}
teardown() { teardown_vm_dir; }

# start_passer NAME MONITOR GREETING: see tools/passer.py
start_passer() {
	mkfifo "$VM_DIR/$1.in"
	start_background "$VM_DIR/$1.out" "$TOOLS/passer.py" "$2" "$VM_DIR/$1.in"
	wait_for 5 grep -q "$3" "$VM_DIR/$1.out"
}

# say NAME LINE [ANSWER]: waits until the answer has come once more.
say() {
	local count

	count=$(times "$1" "${3:-return}")
	printf '%s\n' "$2" >"$VM_DIR/$1.in"
	wait_for 5 said_more "$1" "$count" "${3:-return}"
}

times() { grep -o -- "$2" "$VM_DIR/$1.out" | wc -l; }
said_more() { [ "$(times "$1" "$3")" -gt "$2" ]; }

getfd() { jq -nc --arg name "$1" '{execute: "getfd", arguments: {fdname: $name}}'; }
closefd() { jq -nc --arg name "$1" '{execute: "closefd", arguments: {fdname: $name}}'; }

# The VM's descriptors that lead to a file, as NUMBER OFFSET.
open_files() {
	find "/proc/$VM_PID/fd" -lname "$1" -printf '%f\n' | sort -n | while read -r fd; do
		echo "$fd $(sed -n 's/^pos:[[:space:]]*//p' "/proc/$VM_PID/fdinfo/$fd")"
	done
}

has_none() { [ -z "$(open_files "$1")" ]; }
has_one_at() { [ "$(open_files "$1" | cut -d ' ' -f 2)" = "$2" ]; }

# there_and_back COMMAND...: to 10.0, back, and through an update that fails; the command must succeed after each.
there_and_back() {
	local version

	for version in new old; do
		update_vm "$version"
		jq -e '.warnings == []' <<<"$UPDATE_RESULT"
		vm_runs "$version"
		"$@"
	done
	fails update_by_ctl --method exec --no-rehearse --binary "$QEMU_NEW"
	jq -e '.outcome == "failed"' <<<"$UPDATE_RESULT"
	vm_runs old
	"$@"
}

# chardev_add ID NAME [SERVER]: as QMP takes it, with a socket that was passed in under that name
chardev_add() {
	jq -nc --arg id "$1" --arg name "$2" --argjson server "${3:-false}" '{execute: "chardev-add", arguments: {id: $id, backend:
		{type: "socket", data: ({addr: {type: "fd", data: {str: $name}}, server: $server} + if $server then {wait: false} else {} end)}}}'
}

card_add() {
	jq -nc --arg id "$1" '{execute: "device_add", arguments: {driver: "pci-serial", id: ($id + "-card"), chardev: $id}}'
}

# pass_line ID: a serial card, its line a socket that is passed in; a client on the other end stays, and is CLIENTS[ID].
declare -gA CLIENTS
pass_line() {
	# shellcheck disable=SC2016 # the inner shell expands it
	start_background "$VM_DIR/$1.json" "$TOOLS/pairfd.py" stream 30 31 bash -c 'tools=$1 log=$2; shift 2
		"$tools/getfd.py" "$@" && exec 30>&- && exec "$tools/serialclient.py" --rate 40 --drain 20 --log "$log" --fd 31' bash "$TOOLS" \
		"$VM_DIR/$1.log" "$VM_CTL" 30 "fd-$1" "$(chardev_add "$1" "fd-$1")" "$(card_add "$1")"
	CLIENTS[$1]=$!
	wait_for 5 grep -q ready "$VM_DIR/$1.json"
}

echoes() { grep -cs ' E ' "$VM_DIR/$1.log" || true; }
more_echoes() { [ "$(echoes "$1")" -gt "$2" ]; }

lines_go_on() {
	local id

	for id in "${!CLIENTS[@]}"; do
		wait_for 10 more_echoes "$id" $(($(echoes "$id") + 20))
	done
}

names_are_there() {
	guest_alive
	has_one_at "$VM_DIR/kept" 7
	has_one_at "$VM_DIR/left" 0
	has_one_at "$VM_DIR/human" 11
}

@test "what nobody has taken yet keeps its name: QMP with a client, without one, the human monitor; offsets too" {
	local file
	boot_guest -M pc-i440fx-7.2 -monitor "unix:$VM_DIR/hmp.sock,server=on,wait=off"
	start_serial_client
	for file in kept left human; do
		echo "0123456789 $file" >"$VM_DIR/$file"
	done
	start_passer qmp "$VM_QMP" QMP
	say qmp '{"execute": "qmp_capabilities"}'
	say qmp "pass $VM_DIR/kept 7 $(getfd 'a "kept" one')"
	say qmp "pass $VM_DIR/left 1 $(getfd again)"
	say qmp "pass $VM_DIR/kept 8 $(getfd again)"
	say qmp "$(closefd again)"
	# This one's client leaves.
	"$TOOLS/getfd.py" "$VM_CTL" 30 left 30<"$VM_DIR/left"
	start_passer hmp "$VM_DIR/hmp.sock" qemu
	say hmp "pass $VM_DIR/human 11 getfd human" '(qemu) '
	wait_for 5 has_one_at "$VM_DIR/human" 11
	# Half a command, before and after which descriptors are passed in again.
	echo 'part {"execute": "query-' >"$VM_DIR/qmp.in"
	there_and_back names_are_there
	say qmp 'status"}' running
	say qmp "$(closefd 'a "kept" one')"
	vm_ctl "$(closefd left)"
	say hmp 'closefd human' closefd
	wait_for 5 has_none "$VM_DIR/human"
	has_none "$VM_DIR/kept"
	has_none "$VM_DIR/left"
	[ "$(grep -c '"QMP"' "$VM_DIR/qmp.out")" = 1 ]
	[ "$(grep -c 'monitor - type' "$VM_DIR/hmp.out")" = 1 ]
	fails grep -E 'error|capabilities.*capabilities|cprshim' "$VM_DIR/qmp.out"
	update_vm new
	stop_serial_client
}

@test "what was added with sockets that were passed in: a connected one, a listening one; they outlive their updates" {
	boot_guest -M pc-i440fx-7.2
	start_serial_client
	pass_line line
	"$TOOLS/listenfd.py" "$VM_DIR/gate.sock" 30 "$TOOLS/getfd.py" "$VM_CTL" 30 fd-gate "$(chardev_add gate fd-gate true)" \
		"$(card_add gate)"
	start_background "$VM_DIR/gate.json" "$TOOLS/serialclient.py" --rate 40 --drain 20 --log "$VM_DIR/gate.log" "$VM_DIR/gate.sock"
	CLIENTS[gate]=$!
	[ "$(ask p L)" = 'L 3' ]
	lines_go_on
	there_and_back lines_go_on
	# Whoever comes next is let in.
	stop_client "${CLIENTS[gate]}" "$VM_DIR/gate.json"
	update_vm new
	rm "$VM_DIR/gate.log"
	start_background "$VM_DIR/gate.json" "$TOOLS/serialclient.py" --rate 40 --drain 20 --log "$VM_DIR/gate.log" "$VM_DIR/gate.sock"
	CLIENTS[gate]=$!
	lines_go_on
	stop_client "${CLIENTS[gate]}" "$VM_DIR/gate.json"
	stop_client "${CLIENTS[line]}" "$VM_DIR/line.json"
	stop_serial_client
}

# pass_network ID TYPE MONITOR COMMAND COMMAND STATION-OPTION...: a socket is passed in under the name ID, commands make a port of
# the hub of it
pass_network() {
	# shellcheck disable=SC2016 # the inner shell expands it
	start_background "$VM_DIR/$1.json" "$TOOLS/pairfd.py" "$2" 30 31 bash -c 'tools=$1 monitor=$2 id=$3 add=$4 hub=$5; shift 5
		"$tools/getfd.py" "$monitor" 30 "$id" "$add" "$hub" && exec 30>&- && exec "$tools/station.py" "$@" fd 31' bash \
		"$TOOLS" "$3" "$1" "$4" "$5" --after "$VM_DIR/go" "${@:6}"
	CLIENTS[$1]=$!
	wait_for 5 grep -q ready "$VM_DIR/$1.json"
}

netdev_add() { jq -nc "{execute: \"netdev_add\", arguments: {id: \"$1\", $2}}"; }

answers_of() {
	local lines

	lines=$(grep -c answers "$VM_DIR/$1.json" || true)
	kill -USR1 "${CLIENTS[$1]}"
	wait_for 10 tells_more "$1" "$lines"
	grep answers "$VM_DIR/$1.json" | tail -n 1 | jq .answers
}

tells_more() { [ "$(grep -c answers "$VM_DIR/$1.json")" -gt "$2" ]; }
more_packets() { [ "$(answers_of "$1")" -gt "$2" ]; }

packets_go_on() {
	local id

	for id in line grams; do
		wait_for 10 more_packets "$id" $(($(answers_of "$id") + 10))
	done
}

@test "networks that were added with sockets that were passed in: socket, dgram, by the human monitor" {
	boot_guest -M pc-i440fx-7.2 -monitor "unix:$VM_DIR/hmp.sock,server=on,wait=off"
	pass_network answers stream "$VM_CTL" "$(netdev_add answers 'type: "socket", fd: "answers"')" \
		"$(netdev_add answershub 'type: "hubport", hubid: 0, netdev: "answers"')" --number 0
	pass_network line stream "hmp:$VM_DIR/hmp.sock" netdev_add\ socket,id=line,fd=line \
		netdev_add\ hubport,id=linehub,hubid=0,netdev=line --number 1 --rate 100 --dribble 2
	pass_network grams dgram "$VM_CTL" "$(netdev_add grams 'type: "dgram", local: {type: "fd", str: "grams"}')" \
		"$(netdev_add gramshub 'type: "hubport", hubid: 0, netdev: "grams"')" --number 2 --rate 100
	touch "$VM_DIR/go"
	packets_go_on
	there_and_back packets_go_on
	stop_client "${CLIENTS[line]}" "$VM_DIR/line.json"
	stop_client "${CLIENTS[grams]}" "$VM_DIR/grams.json"
	stop_client "${CLIENTS[answers]}" "$VM_DIR/answers.json"
	guest_alive
}
