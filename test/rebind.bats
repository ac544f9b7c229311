#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# rebind.bats - what is connected to a VM stays connected through updates: listeners, serial lines, monitors, files, terminals.
#
# Serial clients send a sequence of bytes at a rate, which the guest echoes, while its ticks rise by one: a byte that is
# lost, doubled or reordered in either direction shows.

load lib/common

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

# A TCP port that was free a moment ago.
free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

has_ipv6() { grep -q '^0\{31\}1 ' /proc/net/if_inet6; }

# After three updates, one of them back: nothing of the process's knows where it was.
three_updates() {
	update_vm new
	update_vm old
	update_vm new
	wait_for 5 jq -e '.warnings == []' <<<"$UPDATE_RESULT"
}

chardev_name() {
	vm_ctl query-chardev | jq -r ".[] | select(.label == \"$1\") | .filename"
}

serial_over_tcp() {
	local listen=$1 port=$2

	VM_SERIAL=$3:$port
	SERIAL_ARGS=(-chardev "socket,id=serial0,host=$listen,port=$port,server=on,wait=off" -serial chardev:serial0)
	boot_guest -M q35
	start_serial_client --rate 300
	wait_serial 5 'T [0-9]+ '
	local name
	name=$(chardev_name serial0)
	three_updates
	echo "$name, now $(chardev_name serial0)"
	[ "$(chardev_name serial0)" = "$name" ]
	guest_alive
	stop_serial_client
	# The listener serves the next one.
	wait_for_guest 5
}

# --- serial clients and their listeners ---

@test "serial client on a UNIX socket: no byte lost or doubled over six updates" {
	boot_guest -M q35
	start_serial_client --rate 1000
	local inode name
	inode=$(stat -c %i "$VM_SERIAL")
	name=$(chardev_name serial0)
	three_updates
	update_vm old
	update_vm new
	update_vm old
	[ "$(stat -c %i "$VM_SERIAL")" = "$inode" ]
	[ "$(chardev_name serial0)" = "$name" ]
	guest_alive
	stop_serial_client
	wait_for_guest 5
}

@test "serial client on TCP, 127.0.0.1" {
	serial_over_tcp 127.0.0.1 "$(free_port)" 127.0.0.1
}

@test "serial client on TCP, any address" {
	serial_over_tcp 0.0.0.0 "$(free_port)" 127.0.0.1
	end_process "$VM_PID"
	use_qemu old
	serial_over_tcp "" "$(free_port)" 127.0.0.1
}

@test "serial client on TCP, IPv6" {
	has_ipv6 || skip "this machine has no IPv6"
	serial_over_tcp ::1 "$(free_port)" "[::1]"
	end_process "$VM_PID"
	use_qemu old
	serial_over_tcp :: "$(free_port)" "[::1]"
}

@test "a server without a client: whoever comes during the update is served after it" {
	boot_guest -M q35
	start_knock serial "$VM_SERIAL" pattern-ok
	start_knock qmp "$VM_QMP" '{"QMP":'
	local serial_inode qmp_inode
	serial_inode=$(stat -c %i "$VM_SERIAL")
	qmp_inode=$(stat -c %i "$VM_QMP")
	three_updates
	stop_knock qmp
	# One of them came while nobody accepted.
	jq -e '.longest_ms > 15' <(tail -n 1 "$VM_DIR/qmp.json")
	[ "$(stat -c %i "$VM_SERIAL")" = "$serial_inode" ]
	[ "$(stat -c %i "$VM_QMP")" = "$qmp_inode" ]
	stop_knock serial
	wait_for_guest 5
}

@test "a second client in the queue of a busy server waits through updates for its turn" {
	boot_guest -M q35
	start_serial_client --rate 100
	start_link waiting "$VM_SERIAL"
	three_updates
	guest_alive
	[ ! -s "$VM_DIR/waiting.link" ]
	stop_serial_client
	wait_link 5 waiting "pattern-ok" 3
}

@test "a listening socket that QEMU was given by number" {
	VM_WRAPPER=("$TOOLS/listenfd.py" "$VM_SERIAL" 9)
	SERIAL_ARGS=(-chardev "socket,id=serial0,fd=9,server=on,wait=off" -serial chardev:serial0)
	boot_guest -M q35
	start_serial_client --rate 300
	three_updates
	guest_alive
	stop_serial_client
	wait_for_guest 5
	update_vm old
	wait_for_guest 5
}

@test "VNC: on UNIX and TCP the listener stays, and clients can come again at once" {
	local display=$((RANDOM % 1000 + 3000)) inode
	boot_guest -M q35 -vnc "unix:$VM_DIR/vnc.sock"
	inode=$(stat -c %i "$VM_DIR/vnc.sock")
	start_link viewer "$VM_DIR/vnc.sock"
	wait_link 5 viewer RFB
	start_knock unix "$VM_DIR/vnc.sock" "RFB 003" 3
	three_updates
	[ "$(stat -c %i "$VM_DIR/vnc.sock")" = "$inode" ]
	# A VNC session is not handed over: its client is told so at once.
	wait_for 2 grep -q eof "$VM_DIR/viewer.json"
	stop_knock unix
	[ "$(vm_ctl query-vnc | jq -r .enabled)" = true ]
	end_process "$VM_PID"

	use_qemu old
	boot_guest -M q35 -vnc "127.0.0.1:$display"
	start_knock tcp "127.0.0.1:$((5900 + display))" "RFB 003" 3
	three_updates
	stop_knock tcp
	guest_alive
}

# --- connections that QEMU made ---

@test "a serial line that QEMU connected to a UNIX server stays connected" {
	client_mode "$VM_DIR/server.sock" "path=$VM_DIR/server.sock"
}

@test "a serial line that QEMU connected to a TCP server stays connected" {
	local port
	port=$(free_port)
	client_mode "127.0.0.1:$port" "host=127.0.0.1,port=$port"
}

client_mode() {
	VM_SERIAL=$1
	SERIAL_ARGS=(-chardev "socket,id=serial0,$2,server=off" -serial chardev:serial0)
	start_serial_server
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M q35
	wait_for 10 test -s "$VM_DIR/serial.log"
	wait_serial 10 'T 3 '
	three_updates
	guest_alive
	stop_serial_client
}

start_serial_server() {
	start_background "$VM_DIR/serial.json" "$TOOLS/serialclient.py" --listen --rate 300 --log "$VM_DIR/serial.log" "$VM_SERIAL"
	SERIAL_PID=$!
	wait_for 5 grep -q listening "$VM_DIR/serial.json"
}

# --- monitors ---

@test "QMP: no second greeting, each id is answered once, events go on and ours are not shown" {
	boot_guest -M q35
	start_qmp_client --interval 2
	three_updates
	vm_ctl stop cont
	update_vm old
	qmp_goes_on
	stop_qmp_client >"$VM_DIR/summary.json"
	cat "$VM_DIR/summary.json"
	jq -e '.events == ["STOP", "RESUME"] and .answered > 50' "$VM_DIR/summary.json"
}

@test "QMP: a client that negotiated oob" {
	boot_guest -M q35
	start_qmp_client --oob
	three_updates
	qmp_goes_on
	stop_qmp_client
}

qmp_sent_half() { grep -q '> {[^}]*$' "$VM_DIR/qmp-session.log"; }

@test "QMP: half a command before the update, the rest after it" {
	boot_guest -M q35
	start_qmp_client
	kill -USR1 "$QMP_PID"
	wait_for 5 qmp_sent_half
	three_updates
	kill -USR1 "$QMP_PID"
	qmp_goes_on
	stop_qmp_client
}

@test "QMP: a client that has connected but not negotiated" {
	boot_guest -M q35
	start_qmp_client --silent
	wait_for 5 grep -q QMP "$VM_DIR/qmp-session.log"
	three_updates
	kill -USR1 "$QMP_PID"
	wait_for 5 grep -q '"id": 20' "$VM_DIR/qmp-session.log"
	stop_qmp_client
}

@test "QMP: two monitors at once, one of them in mode pretty" {
	boot_guest -M q35 -qmp-pretty "unix:$VM_DIR/pretty.sock,server=on,wait=off"
	start_qmp_client
	start_link pretty "$VM_DIR/pretty.sock"
	send_link pretty '{"execute": "qmp_capabilities"}\n'
	wait_link 5 pretty '"return"'
	three_updates
	send_link pretty '{"execute": "query-version", "id": "after"}\n'
	wait_link 5 pretty '"id": "after"'
	vm_ctl stop cont
	wait_link 5 pretty '"event": "RESUME"'
	send_link pretty '{"execute": "query-name", "id": "last"}\n'
	wait_link 5 pretty '"id": "last"'
	[ "$(link_count pretty '"QMP"')" = 1 ]
	[ "$(link_count pretty '"return"')" = 3 ]
	[ "$(link_count pretty '"event"')" = 2 ]
	stop_qmp_client
}

@test "QMP: a command that is being executed when an update comes, and those behind it, are answered once" {
	local number before
	boot_guest -M q35
	# Written to by a command: as long as nobody reads, it is under way, and all of QEMU waits for it.
	mkfifo "$VM_DIR/memory1"
	start_link slow "$VM_QMP"
	send_link slow '{"execute": "qmp_capabilities"}\n'
	wait_link 5 slow '"return"'
	before=$(last_update)
	for number in 1 2 3 4; do
		send_link slow "{\"execute\": \"pmemsave\", \"arguments\": {\"val\": 0, \"size\": 1048576, \"filename\":
			\"$VM_DIR/memory$number\"}, \"id\": \"slow$number\"}\n"
	done
	exec 5<"$VM_DIR/memory1"
	use_qemu new
	kill -USR2 "$VM_PID"
	[ "$(head -c 1000 <&5 | wc -c)" = 1000 ]
	[ ! -e "$VM_DIR/memory2" ]
	cat <&5 >/dev/null
	exec 5<&-
	wait_for 30 newer_update_or_gone "$before"
	vm_runs new
	wait_link 10 slow '"slow4"'
	[ "$(grep -aoE 'slow[0-9]' "$VM_DIR/slow.link" | paste -sd " ")" = "slow1 slow2 slow3 slow4" ]
	fails grep -a '"error"' "$VM_DIR/slow.link"
	[ "$(stat -c %s "$VM_DIR/memory4")" = 1048576 ]
}

@test "QMP: a client that gives stop and cont all the time does no harm" {
	boot_guest -M q35
	start_serial_client
	start_qmp_client --interval 1 --command stop --command cont
	local i updated=0
	for i in 1 2 3 4 5 6 7 8; do
		use_qemu new
		if update_by_ctl; then
			updated=$((updated + 1))
		else
			jq -e '.outcome == "refused" or .outcome == "failed"' <<<"$UPDATE_RESULT"
		fi
		vm_lives
	done
	echo "$updated of 8 were updates"
	stop_qmp_client
	vm_ctl cont
	guest_alive
	update_vm old
	guest_alive
	stop_serial_client
}

@test "QMP: a client that resets the guest all the time does no harm" {
	boot_guest -M q35
	start_qmp_client --interval 3 --command system_reset
	local i
	for i in 1 2 3 4; do
		use_qemu new
		update_by_ctl || jq -e '.outcome == "refused" or .outcome == "failed"' <<<"$UPDATE_RESULT"
		# A reset may keep it from the way back of method relay, and nothing else.
		if [ "$(jq 'has("pid")' <<<"$UPDATE_RESULT")" = true ]; then
			jq -e '.warnings | any(test("could not go back to its process.*did not stay stopped.*started or reset it"))' <<<"$UPDATE_RESULT"
			VM_PID=$(jq .pid <<<"$UPDATE_RESULT")
			STARTED+=("$VM_PID")
		fi
		vm_lives
	done
	stop_qmp_client
	update_vm old
	wait_for_guest 10
}

@test "QMP: a client that does not read for a while gets every answer, in order" {
	boot_guest -M q35
	start_background "$VM_DIR/slow.log" "$TOOLS/slowqmp.py" "$VM_QMP" "$VM_DIR/slow.go"
	local client=$!
	wait_for 10 grep -q sent "$VM_DIR/slow.log"
	use_qemu new
	update_by_ctl &
	local update=$!
	# It reads again when the guest runs: the end of the update waits for it, and the guest does not.
	wait_for 10 version_is 10.0
	touch "$VM_DIR/slow.go"
	wait "$update"
	wait_for 20 is_gone "$client"
	grep -q all "$VM_DIR/slow.log"
	guest_alive
}

version_is() { [ "$(vm_version)" = "$1" ]; }

@test "HMP on a socket: no new banner, and half a line stays" {
	boot_guest -M q35 -monitor "unix:$VM_DIR/hmp.sock,server=on,wait=off"
	start_link hmp "$VM_DIR/hmp.sock"
	wait_link 5 hmp '(qemu)'
	send_link hmp 'info status\n'
	wait_link 5 hmp 'VM status: running'
	send_link hmp 'info ver'
	wait_link 5 hmp 'info ver'
	three_updates
	send_link hmp 'sion\n'
	wait_link 5 hmp '10.0'
	send_link hmp 'info status\n'
	wait_link 5 hmp 'VM status: running' 2
	[ "$(link_count hmp 'monitor - type')" = 1 ]
	fails grep -a 'unknown command' "$VM_DIR/hmp.link"
}

@test "without -qmp or -monitor of the user's: nobody notices the private one" {
	SERIAL_ARGS=(-serial "unix:$VM_SERIAL,server=on,wait=off")
	boot_guest -M q35 -monitor "unix:$VM_DIR/hmp.sock,server=on,wait=off"
	start_link hmp "$VM_DIR/hmp.sock"
	send_link hmp 'info chardev\n'
	wait_link 5 hmp 'cprshim'
	three_updates
	[ "$(chardev_name compat_monitor0)" != "" ]
}

# --- files ---

# The ticks in a file rise by one from the first to the last line.
ticks_in_order() {
	awk '$1 == "T" && $3 == "pattern-ok" { if (n && $2 != n + 1) { print "tick", $2, "after", n; bad = 1 } n = $2 }
		END { exit bad || n < 10 }' "$1"
}

lines_in() { wc -l <"$1"; }

file_grows() { [ "$(lines_in "$1")" -gt "$2" ]; }

@test "-serial file: goes on where it was, not truncated, also when it was renamed" {
	SERIAL_ARGS=(-serial "file:$VM_DIR/console")
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M q35
	wait_for 10 grep -q 'T 5 ' "$VM_DIR/console"
	local lines
	lines=$(lines_in "$VM_DIR/console")
	three_updates
	wait_for 5 file_grows "$VM_DIR/console" $((lines + 20))
	grep -q 'G cprshim test guest' "$VM_DIR/console"

	mv "$VM_DIR/console" "$VM_DIR/console.old"
	update_vm old
	lines=$(lines_in "$VM_DIR/console.old")
	wait_for 5 file_grows "$VM_DIR/console.old" $((lines + 10))
	[ ! -e "$VM_DIR/console" ]
	ticks_in_order "$VM_DIR/console.old"
}

@test "a chardev's logfile, with and without logappend, and -D go on" {
	echo "before" >"$VM_DIR/append.log"
	SERIAL_ARGS=(-chardev "socket,id=serial0,path=$VM_SERIAL,server=on,wait=off,logfile=$VM_DIR/console.log"
		-serial chardev:serial0)
	boot_guest -M q35 -D "$VM_DIR/debug.log" -d cpu_reset \
		-chardev "null,id=n0,logfile=$VM_DIR/append.log,logappend=on" -device isa-serial,chardev=n0
	start_serial_client --rate 100
	local size inode
	size=$(stat -c %s "$VM_DIR/debug.log")
	inode=$(stat -c %i "$VM_DIR/debug.log")
	cp "$VM_DIR/debug.log" "$VM_DIR/debug.before"
	[ "$size" -gt 100 ]
	three_updates
	guest_alive
	grep -q 'G cprshim test guest' "$VM_DIR/console.log"
	stop_serial_client
	ticks_in_order "$VM_DIR/console.log"
	[ "$(stat -c %i "$VM_DIR/debug.log")" = "$inode" ]
	cmp -n "$size" "$VM_DIR/debug.log" "$VM_DIR/debug.before"
	[ "$(stat -c %s "$VM_DIR/debug.log")" -gt "$size" ]
	[ "$(head -n 1 "$VM_DIR/append.log")" = before ]
}

# --- terminals ---

@test "pty: its client reads and writes on, and its name stays" {
	SERIAL_ARGS=(-chardev pty,id=serial0 -serial chardev:serial0)
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M q35
	local name
	name=$(chardev_name serial0)
	VM_SERIAL=${name#pty:}
	[ -c "$VM_SERIAL" ]
	start_serial_client --rate 300
	wait_serial 10 'T [0-9]+ '
	cp "$VM_LOG" "$VM_DIR/log.before"
	three_updates
	[ "$(chardev_name serial0)" = "$name" ]
	guest_alive
	update_vm old
	guest_alive
	stop_serial_client
	# "char device redirected to ..." was said once, at the start.
	cmp "$VM_LOG" "$VM_DIR/log.before"
}

@test "pty without a client, and one that comes and goes" {
	SERIAL_ARGS=(-chardev pty,id=serial0 -serial chardev:serial0)
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M q35
	local name
	name=$(chardev_name serial0)
	VM_SERIAL=${name#pty:}
	three_updates
	[ "$(chardev_name serial0)" = "$name" ]
	wait_for_guest 5
	update_vm old
	wait_for_guest 5
	update_vm new
	start_serial_client --rate 100
	guest_alive
	update_vm old
	guest_alive
	stop_serial_client
}

terminal_mode() { stty -F "$TERMINAL" -g; }

# What a QEMU that was never updated does to its terminal, while it runs and after it has ended.
plain_modes() {
	PRELOAD=no start_on_terminal plain "$@"
	MODE_RUNNING=$(terminal_mode)
	kill "$VM_PID"
	wait_for 5 grep -q exit "$VM_DIR/plain.json"
	MODE_AFTER=$(terminal_mode)
	[ "$MODE_RUNNING" != "$MODE_AFTER" ]
}

@test "-serial stdio on a terminal: goes on, in its mode, which is set back at the end" {
	plain_modes -nodefaults -display none -serial stdio
	start_on_terminal tty -nodefaults -display none -serial stdio
	[ "$(terminal_mode)" = "$MODE_RUNNING" ]
	local lines
	three_updates
	[ "$(terminal_mode)" = "$MODE_RUNNING" ]
	lines=$(link_count tty pattern-ok)
	wait_link 5 tty pattern-ok $((lines + 5))
	send_link tty 'z'
	wait_link 5 tty 'E 7a'
	update_vm old
	send_link tty 'y'
	wait_link 5 tty 'E 79'
	tr -d '\r' <"$VM_DIR/tty.link" >"$VM_DIR/tty.lines"
	ticks_in_order "$VM_DIR/tty.lines"
	# Nothing but what the guest said.
	fails grep -avE '^(G |R |D |T |E )' "$VM_DIR/tty.lines"
	kill "$VM_PID"
	wait_for 5 grep -q '"exit": 0' "$VM_DIR/tty.json"
	[ "$(terminal_mode)" = "$MODE_AFTER" ]
}

@test "-nographic on a terminal: Ctrl-A c leads to the monitor before and after, no banner is shown again" {
	plain_modes -nic none -nographic
	start_on_terminal tty -nic none -nographic
	send_link tty '\001c'
	wait_link 5 tty '(qemu)'
	send_link tty 'info status\r'
	wait_link 5 tty 'VM status: running'
	send_link tty '\001c'
	three_updates
	[ "$(terminal_mode)" = "$MODE_RUNNING" ]
	local lines
	lines=$(link_count tty pattern-ok)
	wait_link 5 tty pattern-ok $((lines + 5))
	send_link tty 'z'
	wait_link 5 tty 'E 7a'
	send_link tty '\001c'
	send_link tty 'info version\r'
	wait_link 5 tty '10.0'
	[ "$(link_count tty 'monitor - type')" = 1 ]
	fails grep -a redirected "$VM_DIR/tty.link"
	send_link tty 'quit\r'
	wait_for 5 grep -q '"exit": 0' "$VM_DIR/tty.json"
	[ "$(terminal_mode)" = "$MODE_AFTER" ]
}

@test "stdout and stdin that are no terminal: a pipe and a file" {
	SERIAL_ARGS=(-serial stdio)
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M q35
	wait_for 10 grep -q 'T 3 ' "$VM_LOG"
	three_updates
	local lines
	lines=$(lines_in "$VM_LOG")
	wait_for 5 file_grows "$VM_LOG" $((lines + 10))
	ticks_in_order "$VM_LOG"
}
