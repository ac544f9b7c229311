#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# standing.bats - an update that fails while the old QEMU cannot start either: the guest stands still until it can, and then goes
# on with all that it had (loader/revive.h).

bats_require_minimum_version 1.5.0

load lib/common

# The method that rehearses, and has a way back. Others have tests of their own (relay.bats, transfer.bats).
export CPRSHIM_METHOD=exec

setup() {
	setup_vm_dir
	FAULTS=$VM_DIR/faults
	: >"$FAULTS"
	export CPRSHIM_FAULT=@$FAULTS
}
teardown() { teardown_vm_dir; }

MACHINE=pc-q35-7.2

# A disk that is written, and a key that each QEMU that starts reads from a file: without it none does.
begin() {
	printf 'a passphrase' >"$VM_DIR/key"
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -M $MACHINE -object "secret,id=key,file=$VM_DIR/key" \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk
	start_serial_client --rate 100
	start_qmp_client
	write_disk
}

# qemu_io COMMAND: on that disk, by QEMU itself
qemu_io() {
	vm_ctl "$(jq -nc --arg line "qemu-io disk \"$1\"" '{execute: "human-monitor-command", arguments: {"command-line": $line}}')"
}

# An image that was not taken back would end QEMU here.
write_disk() {
	WRITES=$((${WRITES:-0} + 1))
	qemu_io "write -P $WRITES 64k 64k"
	vm_ctl query-status
}

# start_update BINARY FAULTS: in the background; cprctl's result is in $VM_DIR/update.json, its exit status in update.rc.
start_update() {
	echo "$2" >"$FAULTS"
	rm -f "$VM_DIR/update.json" "$VM_DIR/update.rc"
	: >"$VM_DIR/update.log"
	# shellcheck disable=SC2016 # the inner shell expands it
	start_background "$VM_DIR/update.log" env "CPRSHIM_RUNDIR=$VM_DIR/run" sh -c '"$@" >"$0.json"; echo $? >"$0.rc"' \
		"$VM_DIR/update" "$CPRCTL" update --json --verbose --no-rehearse --binary "$1" "$VM_PID"
}

# come_to STAGE: until the update waits there.
come_to() { wait_for 30 test -e "$FAULTS.$1"; }

# pass STAGE [FAULTS]: from there on, with those faults.
pass() {
	echo "${2:-}" >"$FAULTS"
	rm "$FAULTS.$1"
}

# The process that waits at a stage, by the log's last word of it.
waits_at() {
	sed -nE "s/^cprshim\[([0-9]+)\].* wait at $1\$/\1/p" "$VM_DIR/shim.log" | tail -n 1
}

# It has said that often why the guest stands still.
has_said() { [ "$(grep -cE "the guest stands still: .*$2" "$VM_DIR/shim.log")" -ge "$1" ]; }
has_told() { [ "$(grep -cE "^back: the guest stands still: .*$2" "$VM_DIR/update.log")" -ge "$1" ]; }

guardian() {
	sed -nE 's/^cprshim\[([0-9]+)\].* the guest stands still: .*/\1/p' "$VM_DIR/shim.log" | tail -n 1
}

# comes_back BINARY PATTERN N: the update ends as one that failed for this reason, after N tries at least, and the guest goes on in
# another process, on the binary that it had, with all that it had.
comes_back() {
	local pid=$VM_PID binary=$1 held

	held=$(guardian)
	wait_for 60 test -s "$VM_DIR/update.rc"
	UPDATE_RESULT=$(cat "$VM_DIR/update.json")
	echo "update: $(cat "$VM_DIR/update.rc") $UPDATE_RESULT" >&2
	[ "$(cat "$VM_DIR/update.rc")" = 1 ]
	jq -e --arg pattern "$2" '.ok == false and .outcome == "failed" and (.reasons | length == 1) and (.reasons[0] | test($pattern))' \
		<<<"$UPDATE_RESULT" >/dev/null
	VM_PID=$(jq -r .pid <<<"$UPDATE_RESULT")
	STARTED+=("$VM_PID")
	[ "$VM_PID" != "$pid" ]
	is_gone "$pid"
	vm_lives
	wait_for 10 is_gone "$held"
	vm_runs "$binary"
	guest_alive
	write_disk
	[ "$(cat "$VM_DIR/pid")" = "$VM_PID" ]
	# cprctl finds it by its new process id, and nothing is left of any other.
	ctl list --json | jq -e --argjson new "$VM_PID" --argjson old "$pid" --argjson held "$held" \
		'map(.pid) | index($new) and (index($old) or index($held) | not)'
	[ "$(find "$VM_DIR/run" -mindepth 1)" = "$VM_DIR/run/$VM_PID.sock" ]
	jq -e --argjson tries "$3" 'any(.warnings[]; capture("was started (?<n>[0-9]+) times").n | tonumber >= $tries)' <<<"$UPDATE_RESULT" >/dev/null
}

finish() {
	update_vm new
	guest_alive
	[ -z "$SERIAL_PID" ] || stop_serial_client
	stop_qmp_client
	[ -z "$(children)" ]
	end_process "$VM_PID"
	qemu-img check -q "$VM_DIR/disk.qcow2"
	qemu-io -f qcow2 -c "read -P $WRITES 64k 64k" "$VM_DIR/disk.qcow2"
}

@test "neither QEMU can start for a while: the old one is started again until it can, and whoever looks is told why" {
	begin
	start_update "$QEMU_NEW" entry:wait
	come_to entry
	mv "$VM_DIR/key" "$VM_DIR/hidden"
	pass entry
	# In the same process first, then by its guardian.
	wait_for 60 has_said 3 'the old QEMU called exit\(1\).*key'
	wait_for 5 has_told 3 'the old QEMU called exit\(1\).*key'
	is_gone "$VM_PID"
	local held
	held=$(guardian)
	run -1 --separate-stderr ctl status "$held"
	[[ $stderr == *"process $held"*'has stood still for '*'the old QEMU called exit(1)'*key*"kill $held gives the guest up"* ]]
	ctl list --json | jq -e --argjson pid "$held" 'any(.pid == $pid and (.note | test("has stood still")))'
	[ ! -e "$VM_DIR/update.rc" ]
	mv "$VM_DIR/hidden" "$VM_DIR/key"
	comes_back old 'the new QEMU called exit\(1\)' 4
	finish
}

@test "the old QEMU is killed on its way back, at its start, with the guest's devices and right before it runs the guest: it is started again" {
	begin
	local stage

	for stage in adopt init load switch; do
		start_update "$QEMU_NEW" "start:kill,back-$stage:wait"
		come_to "back-$stage"
		kill -KILL "$(waits_at "back-$stage")"
		pass "back-$stage"
		comes_back old 'the new QEMU.s process was killed' 2
		has_said 1 'the old QEMU was killed by signal 9'
		: >"$VM_DIR/shim.log"
	done
	# The way back in the same process, and then once more.
	start_update "$QEMU_NEW" "start:exit,back-init:wait"
	come_to back-init
	[ "$(waits_at back-init)" = "$VM_PID" ]
	kill -KILL "$VM_PID"
	pass back-init 'back-init:wait'
	come_to back-init
	[ "$(waits_at back-init)" != "$VM_PID" ]
	kill -KILL "$(waits_at back-init)"
	pass back-init
	comes_back old 'the new QEMU called exit\(3\)' 3
	# What comes in when the guest's descriptors are there already is lost with that process.
	stop_serial_client
	SERIAL_PID=
	start_update "$QEMU_NEW" "start:kill,back-cont:wait"
	come_to back-cont
	kill -KILL "$(waits_at back-cont)"
	pass back-cont
	comes_back old 'the new QEMU.s process was killed' 2
	finish
}

@test "the old QEMU breaks in every other way on its way back: it is started again" {
	begin
	local kind

	for kind in adopt:exit start:segv init:abort load:exit images:fail switch:fail; do
		start_update "$QEMU_NEW" "start:exit,back-$kind"
		wait_for 60 has_said 2 'the old (QEMU|program)|images could not|could not be switched'
		: >"$FAULTS"
		comes_back old 'the new QEMU called exit\(3\)' 2
		: >"$VM_DIR/shim.log"
	done
	finish
}

@test "a guest that stands still is given up by a signal to its guardian, and cprctl says that it is lost" {
	begin
	start_update "$QEMU_NEW" init:wait
	come_to init
	mv "$VM_DIR/key" "$VM_DIR/hidden"
	pass init
	wait_for 60 has_said 2 key
	kill -TERM "$(guardian)"
	wait_for 30 test -s "$VM_DIR/update.rc"
	[ "$(cat "$VM_DIR/update.rc")" = 3 ]
	grep -q 'the guest is lost' "$VM_DIR/update.log"
	grep -q 'was given up by a signal' "$VM_DIR/shim.log"
	wait_for 10 is_gone "$(guardian)"
	ctl list --json | jq -e --argjson held "$(guardian)" 'all(.pid != $held)'
}

@test "not even a process for the old QEMU can be started for a while: the guardian has run into a limit" {
	begin
	start_update "$QEMU_NEW" entry:wait
	come_to entry
	local limits pid held
	held=$(children)
	limits=$(prlimit --pid "$VM_PID" --nofile --output SOFT --noheadings)
	for pid in $held; do
		prlimit --pid "$pid" --nofile=1:
	done
	kill -KILL "$VM_PID"
	pass entry
	wait_for 30 has_said 2 'the old QEMU could not be started: Too many open files'
	prlimit --pid "$(guardian)" "--nofile=$limits:"
	comes_back old 'the new QEMU.s process was killed' 3
	finish
}

# make_tree: QEMU 7.2 with its module for disks on HTTP servers, in a folder of its own
make_tree() {
	local modules=$VM_DIR/tree/lib/x86_64-linux-gnu/qemu

	mkdir -p "$VM_DIR/tree/bin" "$modules"
	cp "$QEMU_OLD" "$VM_DIR/tree/bin/"
	ln -s /usr/share "$VM_DIR/tree/share"
	cp -s /usr/lib/x86_64-linux-gnu/qemu/*.so "$modules/"
	cp "${CPRSHIM_CURL7:-$CPRSHIM_BUILDDIR/curl-7.2/block-curl.so}" "$modules/"
	QEMU_TREE=$VM_DIR/tree/bin/qemu-system-x86_64
	# For the first start; the shim finds it for others.
	VM_WRAPPER=(env "QEMU_MODULE_DIR=$modules")
}

# start_http: for what is in $VM_DIR/www
start_http() {
	start_background "$VM_DIR/http.log" busybox httpd -f -p "127.0.0.1:$HTTP_PORT" -h "$VM_DIR/www"
	HTTP_PID=$!
	wait_for 5 http_answers
}

http_answers() { (: <>"/dev/tcp/127.0.0.1/$HTTP_PORT"); }

@test "a disk on an HTTP server that is gone while the update is under way: the guest goes on when it is back" {
	make_tree
	use_qemu "$QEMU_TREE"
	mkdir "$VM_DIR/www"
	truncate -s 16M "$VM_DIR/www/base"
	qemu-io -f raw -c 'write -P 0x5a 0 16M' "$VM_DIR/www/base" >/dev/null
	HTTP_PORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	start_http
	qemu-img create -q -f qcow2 -u -F raw -b "http://127.0.0.1:$HTTP_PORT/base" "$VM_DIR/disk.qcow2" 16M
	boot_guest -M $MACHINE -drive "file=$VM_DIR/disk.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk
	start_serial_client --rate 100
	start_qmp_client
	update_vm "$QEMU_TREE"
	write_disk
	start_update "$QEMU_TREE" entry:wait
	come_to entry
	end_process "$HTTP_PID"
	pass entry
	wait_for 60 has_said 4 'the old QEMU called exit\(1\).*(CURL|refused)'
	start_http
	comes_back "$QEMU_TREE" 'the new QEMU called exit\(1\).*(CURL|refused)' 4
	qemu_io 'read -P 0x5a 2M 1M'
	stop_serial_client
	stop_qmp_client
	end_process "$VM_PID"
	# QEMU writes there what came of it, by the end at the latest.
	grep -q '^read 1048576/1048576 bytes at offset 2097152' "$VM_LOG"
	fails grep -q 'verification failed' "$VM_LOG"
}
