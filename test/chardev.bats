#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# chardev.bats - character devices, monitors, displays and descriptor sets through updates, there and back; rebind.bats has the
# plain ones.

load lib/common

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

MACHINE=pc-q35-7.2

# There and back, without a warning. In between and at the end the rest of the line, a command, must succeed.
there_and_back() {
	update_vm new
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	"$@"
	update_vm old
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	"$@"
}

# To a program that passes for a QEMU until it is the successor (test/programs/fakeqemu.c), and back.
update_fails() {
	mkdir -p "$VM_DIR/fake"
	cp "$CPRSHIM_BUILDDIR/test/programs/fakeqemu" "$VM_DIR/fake/qemu-system-x86_64"
	echo "$QEMU_NEW" >"$VM_DIR/fake/real"
	echo exit >"$VM_DIR/fake/mode"
	fails update_by_ctl --method exec --no-rehearse --binary "$VM_DIR/fake/qemu-system-x86_64"
	jq -e '.outcome == "failed" and (.reasons[0] | test("fakeqemu: breaks by exit"))' <<<"$UPDATE_RESULT"
}

# The ticks of the guest in a file rise by one, from the first to the last line.
ticks_in_order() {
	awk '$1 == "T" && $3 == "pattern-ok" { if (n && $2 != n + 1) { print "tick", $2, "after", n; bad = 1 } n = $2 }
		END { exit bad || n < 10 }' "$1"
}

lines_in() { wc -l <"$1"; }
file_grows() { [ "$(lines_in "$1")" -gt "$2" ]; }
goes_on() { wait_for 5 file_grows "$1" $(($(lines_in "$1") + 10)); }

# --- descriptor sets ---

fdsets() { vm_ctl query-fdsets | jq -cS .; }

# pass_fd FILE SET OPAQUE: add-fd, as libvirt does it; prints the answer.
pass_fd() {
	python3 - "$VM_CTL" "$@" <<-'END'
		import array, json, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.connect(sys.argv[1])
		f = s.makefile("r")
		f.readline()
		def ask(name, arguments={}, fds=()):
		    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
		    s.sendmsg([json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n"], rights)
		    while True:
		        answer = json.loads(f.readline())
		        if "event" not in answer:
		            return answer["return"]
		ask("qmp_capabilities")
		with open(sys.argv[2], "r+b") as passed:
		    print(json.dumps(ask("add-fd", {"fdset-id": int(sys.argv[3]), "opaque": sys.argv[4]}, [passed.fileno()])))
	END
}

@test "descriptor sets: a log's pipe and an image without a name, as libvirt passes them, and one passed in later" {
	mkfifo "$VM_DIR/log.pipe"
	start_background "$VM_DIR/console" cat "$VM_DIR/log.pipe"
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	# shellcheck disable=SC2016 # the inner shell expands it
	VM_WRAPPER=(bash -c 'exec 30>"$1" 31<"$2" 32<>"$2"; shift 2; exec "$@"' sh "$VM_DIR/log.pipe" "$VM_DIR/disk.qcow2")
	SERIAL_ARGS=(-add-fd "fd=30,set=0,opaque=serial0-log" -chardev "file,id=serial0,path=/dev/fdset/0,append=on"
		-serial chardev:serial0)
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE \
		-add-fd "fd=31,set=2,opaque=rdonly:$VM_DIR/disk,,qcow2" -add-fd fd=32,set=2 \
		-blockdev driver=file,filename=/dev/fdset/2,node-name=file0 -blockdev driver=qcow2,file=file0,node-name=disk0 \
		-device virtio-blk-pci,drive=disk0,id=blk0
	local late sets
	echo "late" >"$VM_DIR/late"
	late=$(pass_fd "$VM_DIR/late" 7 "passed, later")
	sets=$(fdsets)
	ln "$VM_DIR/disk.qcow2" "$VM_DIR/kept.qcow2"
	rm "$VM_DIR/disk.qcow2" "$VM_DIR/late"
	wait_for 10 grep -q 'T 3 ' "$VM_DIR/console"
	there_and_back sets_are_well "$sets"
	update_fails
	sets_are_well "$sets"
	# Numbers that were told are good still.
	do_qmp remove-fd "{\"fdset-id\": 7, fd: $(jq .fd <<<"$late")}"
	[ "$(fdsets | jq -c 'map(.["fdset-id"])')" = "[2,0]" ]
	there_and_back goes_on "$VM_DIR/console"
	end_process "$VM_PID"
	ticks_in_order "$VM_DIR/console"
	qemu-img check -q "$VM_DIR/kept.qcow2"
	qemu-io -f qcow2 -c "read -P $WRITES 64k 64k" "$VM_DIR/kept.qcow2"
}

# The sets are what they were, to the number, and their image can be written.
sets_are_well() {
	[ "$(fdsets)" = "$1" ]
	goes_on "$VM_DIR/console"
	WRITES=$((${WRITES:-0} + 1))
	do_qmp human-monitor-command "{\"command-line\": \"qemu-io -d blk0/virtio-backend \\\"write -P $WRITES 64k 64k\\\"\"}"
	vm_ctl query-status
}

# --- FIFOs, files, datagrams ---

# A guest's serial line on FIFOs: what is written to $1.in must be echoed on $1.out.
@test "-chardev pipe: two FIFOs keep their other ends, and what is in them" {
	mkfifo "$VM_DIR/line.in" "$VM_DIR/line.out"
	start_background "$VM_DIR/out" cat "$VM_DIR/line.out"
	SERIAL_ARGS=(-chardev "pipe,id=serial0,path=$VM_DIR/line" -serial chardev:serial0)
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE
	wait_for 10 grep -q 'T 3 ' "$VM_DIR/out"
	exec 5>"$VM_DIR/line.in"
	there_and_back fifo_is_well
	# A byte that comes while the guest stands still is there when it runs again.
	vm_ctl stop
	printf 'w' >&5
	update_vm new
	vm_ctl cont
	wait_for 5 grep -q '^E 77' "$VM_DIR/out"
	exec 5>&-
	end_process "$VM_PID"
	ticks_in_order "$VM_DIR/out"
	[ "$(grep -c '^E ' "$VM_DIR/out")" -eq 3 ]
}

fifo_is_well() {
	local echoes

	echoes=$(grep -c '^E ' "$VM_DIR/out" || true)
	printf 'z' >&5
	wait_for 5 has_echoes $((echoes + 1))
	goes_on "$VM_DIR/out"
}

has_echoes() { [ "$(grep -c '^E 7a' "$VM_DIR/out")" -eq "$1" ]; }

# streams_are_whole: what came out is in order, echoes of both streams and ticks alike
# shellcheck disable=SC2120 # the number of bytes is known only at the end
streams_are_whole() {
	"$TOOLS/serialechoes.py" "$VM_DIR/out" "$@" && sed -n 's/^I /E /p; /^T /p' "$VM_DIR/out" >"$VM_DIR/one.out" &&
		"$TOOLS/serialechoes.py" "$VM_DIR/one.out" "$@"
}

streams_go_on() {
	goes_on "$VM_DIR/out"
	streams_are_whole
}

# Over a single FIFO the other end's writers and readers share what is in it: only one way can be used.
@test "-serial pipe: a stream both ways over two FIFOs, -chardev pipe: one way over a single one; a failed update too" {
	mkfifo "$VM_DIR/line.in" "$VM_DIR/line.out" "$VM_DIR/one"
	start_background "$VM_DIR/out" cat "$VM_DIR/line.out"
	SERIAL_ARGS=(-serial "pipe:$VM_DIR/line")
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE -chardev "pipe,id=one,path=$VM_DIR/one" -device pci-serial,chardev=one
	wait_for 10 grep -q 'T 3 ' "$VM_DIR/out"
	printf p >"$VM_DIR/line.in"
	wait_for 10 grep -q '^L 2' "$VM_DIR/out"
	start_background "$VM_DIR/feeder.json" "$TOOLS/feeder.py" 200 "$VM_DIR/line.in" "$VM_DIR/one"
	local feeder=$!
	wait_for 10 grep -q '^I 9f' "$VM_DIR/out"
	there_and_back streams_go_on
	update_fails
	streams_go_on
	stop_client "$feeder" "$VM_DIR/feeder.json"
	wait_for 10 streams_are_whole "$(jq -R 'fromjson? | .sent // empty' "$VM_DIR/feeder.json")"
	vm_lives
}

@test "-serial file: on a FIFO: its reader sees no end, and every line" {
	mkfifo "$VM_DIR/console"
	start_background "$VM_DIR/out" cat "$VM_DIR/console"
	local reader=$!
	SERIAL_ARGS=(-serial "file:$VM_DIR/console")
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE
	wait_for 10 grep -q 'T 3 ' "$VM_DIR/out"
	there_and_back goes_on "$VM_DIR/out"
	update_fails
	goes_on "$VM_DIR/out"
	fails is_gone "$reader"
	end_process "$VM_PID"
	ticks_in_order "$VM_DIR/out"
}

@test "-chardev file with input-path: the file is read on where it was" {
	# Only QEMU 8.0 and newer have the option.
	use_qemu new
	python3 -c 'import sys; sys.stdout.buffer.write(bytes(0x80 + i % 128 for i in range(100000)))' >"$VM_DIR/in"
	SERIAL_ARGS=(-chardev "file,id=serial0,path=$VM_DIR/console,input-path=$VM_DIR/in" -serial chardev:serial0)
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE
	wait_for 10 grep -q 'E 84' "$VM_DIR/console"
	wait_for 5 grep -q 'E 90' "$VM_DIR/console"
	update_vm new
	"$TOOLS/serialechoes.py" "$VM_DIR/console"
	update_vm new
	fails "$TOOLS/serialechoes.py" "$VM_DIR/console" 100000
	wait_for 60 "$TOOLS/serialechoes.py" "$VM_DIR/console" 100000
	update_vm new
	goes_on "$VM_DIR/console"
	"$TOOLS/serialechoes.py" "$VM_DIR/console" 100000
}

# start_line [OPTIONS]: the far end of a serial line that QEMU connects to or sends to, before QEMU is started.
start_line() {
	start_background "$VM_DIR/serial.json" "$TOOLS/serialclient.py" --rate 300 --log "$VM_DIR/serial.log" "$@" "$VM_SERIAL"
	SERIAL_PID=$!
	wait_for 5 grep -Eq 'listening|ready' "$VM_DIR/serial.json"
}

# free_ports [COUNT]: that were free a moment ago, of TCP and UDP alike.
free_ports() {
	python3 -c '
import socket, sys
held = []
while len(held) < int(sys.argv[1]):
    tcp, udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        print(tcp.getsockname()[1])
        held.append((tcp, udp))
    except OSError:
        pass' "${1:-3}"
}

line_goes_on() {
	guest_alive
	wait_serial 5 'E [89a-f]'
}

@test "-chardev udp: every datagram arrives, and goes out from the same port" {
	local ports
	mapfile -t ports < <(free_ports)
	VM_SERIAL=udp:${ports[1]}:${ports[2]}
	SERIAL_ARGS=(-chardev "udp,id=serial0,host=127.0.0.1,port=${ports[1]},localaddr=127.0.0.1,localport=${ports[2]}"
		-serial chardev:serial0)
	start_line
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE
	wait_serial 10 'T 3 '
	there_and_back line_goes_on
	update_vm new
	line_goes_on
	stop_serial_client
}

@test "-chardev udp without a port of its own: it keeps the one that the kernel gave it" {
	local ports
	mapfile -t ports < <(free_ports)
	VM_SERIAL=udp:${ports[1]}:0
	SERIAL_ARGS=(-serial "udp:127.0.0.1:${ports[1]}")
	start_line
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE
	wait_serial 10 'T 3 '
	# The client has connected its socket to that port.
	there_and_back line_goes_on
	stop_serial_client
}

# --- sockets ---

@test "reconnect=: the connection stays; one that ends comes again, also where that falls into an update" {
	SERIAL_ARGS=(-chardev "socket,id=serial0,path=$VM_DIR/server.sock,reconnect=1" -serial chardev:serial0)
	VM_SERIAL=$VM_DIR/server.sock
	start_line --listen
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE
	wait_serial 10 'T 3 '
	there_and_back line_goes_on
	# The server goes while the update is under way, and comes back after it.
	local before
	before=$(last_update)
	use_qemu new
	kill -USR2 "$VM_PID"
	stop_client "$SERIAL_PID" "$VM_DIR/serial.json" || true
	wait_for 20 newer_update_or_gone "$before"
	vm_runs new
	server_comes_back
	# It is away, before, during and after.
	end_process "$SERIAL_PID"
	wait_for 5 is_disconnected serial0
	there_and_back is_disconnected serial0
	server_comes_back
	update_vm new
	line_goes_on
	stop_serial_client
}

is_disconnected() {
	vm_ctl query-chardev | jq -e --arg id "$1" '.[] | select(.label == $id) | .filename | startswith("disconnected:")'
}

server_comes_back() {
	rm -f "$VM_DIR/server.sock" "$VM_DIR/serial.json" "$VM_DIR/serial.log"
	start_line --listen
	wait_serial 10 'T [0-9]+ '
	line_goes_on
}

@test "a connected socket that QEMU was given by number: the other end notices nothing" {
	VM_WRAPPER=("$TOOLS/connectfd.py" "$VM_SERIAL" 21)
	SERIAL_ARGS=(-chardev "socket,id=serial0,fd=21" -serial chardev:serial0)
	start_line --listen
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE
	wait_serial 10 'T 3 '
	there_and_back line_goes_on
	update_fails
	line_goes_on
	there_and_back line_goes_on
	stop_serial_client
}

@test "abstract UNIX sockets, padded with zeros and not: the client stays, and the next one is served" {
	VM_SERIAL=@cprshim-${VM_DIR##*.}
	SERIAL_ARGS=(-chardev "socket,id=serial0,path=${VM_SERIAL#@},abstract=on,server=on,wait=off" -serial chardev:serial0)
	boot_guest -M $MACHINE -chardev "socket,id=loose,path=${VM_SERIAL#@}-loose,abstract=on,tight=off,server=on,wait=off" \
		-device isa-serial,chardev=loose
	start_serial_client --rate 300
	there_and_back line_goes_on
	stop_serial_client
	wait_for_guest 5
}

# --- telnet ---

@test "telnet: a serial line's client is greeted once, with commands cut in two by updates; HMP and QMP too" {
	local ports
	mapfile -t ports < <(free_ports)
	VM_SERIAL=127.0.0.1:${ports[0]}
	SERIAL_ARGS=(-serial "telnet:$VM_SERIAL,server=on,wait=off")
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE -monitor "telnet:127.0.0.1:${ports[1]},server=on,wait=off" \
		-chardev "socket,id=control,path=$VM_DIR/control.sock,server=on,wait=off,telnet=on" -mon chardev=control,mode=control
	start_serial_client --rate 300 --telnet
	wait_serial 20 'E ff'
	start_link hmp "127.0.0.1:${ports[1]}"
	wait_link 5 hmp '(qemu)'
	start_link control "$VM_DIR/control.sock"
	send_link control '\xff\xfd\x01{"execute": "qmp_capabilities"}\n'
	wait_link 5 control '"return"'
	# Half a line with half a command behind it; of the other, the half of one in the middle of a message.
	send_link hmp 'info st\xff\xfb\001at\xff\xfd'
	wait_link 5 hmp 'info st'
	send_link control '{"execute": "query\xff'
	update_vm new
	line_goes_on
	send_link hmp '\0145us\r'
	wait_link 5 hmp 'VM status: running'
	send_link control '\xfd\001-version", "id": "new"}\n'
	wait_link 5 control '"id": "new"'
	there_and_back line_goes_on
	update_fails
	line_goes_on
	send_link hmp 'object_add iothread,id=io1\r\0object_add iothread,id=io2\r\0'
	wait_for 5 has_object io2
	there_and_back line_goes_on
	stop_serial_client
	[ "$(link_count hmp 'monitor - type')" = 1 ]
	[ "$(link_count control '"QMP"')" = 1 ]
	[ "$(telnet_commands hmp)" = 4 ]
	[ "$(telnet_commands control)" = 4 ]

	# The byte 255 and a command, each cut in two.
	start_link line "$VM_SERIAL"
	wait_link 5 line pattern-ok
	send_link line 'y\xff'
	wait_link 5 line 'E 79'
	update_vm new
	send_link line '\xff\xff\xfd'
	wait_link 5 line 'E ff'
	update_vm old
	update_vm new
	send_link line '\xffz'
	wait_link 5 line 'E 7a'
	[ "$(grep -ac '^E ' "$VM_DIR/line.link")" = 3 ]
	[ "$(telnet_commands line)" = 4 ]
}

has_object() {
	vm_ctl '{"execute": "qom-list", "arguments": {"path": "/objects"}}' | jq -e --arg id "$1" 'any(.name == $id)'
}

# How many telnet commands have come over a link.
telnet_commands() {
	LC_ALL=C grep -aoP '\xff[\xfb-\xfe]' "$VM_DIR/$1.link" | wc -l
}

# --- terminals ---

chardev_name() {
	vm_ctl query-chardev | jq -r ".[] | select(.label == \"$1\") | .filename"
}

stall() {
	kill -USR1 "$SERIAL_PID"
	wait_for 20 grep -qx stalled "$VM_DIR/serial.json"
}

@test "pty: a client that does not read gets everything when it does" {
	SERIAL_ARGS=(-chardev pty,id=serial0 -serial chardev:serial0)
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE
	VM_SERIAL=$(chardev_name serial0)
	VM_SERIAL=${VM_SERIAL#pty:}
	start_serial_client --rate 300
	wait_serial 10 'T [0-9]+ '
	stall
	there_and_back vm_ctl query-status
	kill -USR1 "$SERIAL_PID"
	guest_alive
	update_vm new
	guest_alive
	stop_serial_client
}

# --- monitors on terminals, multiplexers ---

@test "-nographic: the focus stays at the monitor, with half a line, and at the guest; Ctrl-A alone waits for its second key" {
	start_on_terminal tty -nic none -nographic
	send_link tty '\001cinfo stat'
	wait_link 5 tty 'info stat'
	update_vm new
	send_link tty 'us\r'
	wait_link 5 tty 'VM status: running'
	send_link tty 'info ver'
	wait_link 5 tty 'info ver'
	update_vm old
	send_link tty 'sion\r'
	wait_link 5 tty '7.2'
	send_link tty '\001c'
	send_link tty 'z'
	wait_link 5 tty 'E 7a'
	send_link tty '\001'
	wait_for 5 all_is_read
	update_vm new
	send_link tty 'c'
	send_link tty 'info version\r'
	wait_link 5 tty '10.0'
	[ "$(link_count tty 'monitor - type')" = 1 ]
	fails grep -a 'unknown command' "$VM_DIR/tty.link"
	send_link tty '\001cy'
	wait_link 5 tty 'E 79'
}

# QEMU has read what was typed on the terminal.
all_is_read() {
	python3 -c '
import fcntl, struct, sys, termios
with open(sys.argv[1], "rb", buffering=0) as tty:
    sys.exit(struct.unpack("i", fcntl.ioctl(tty, termios.FIONREAD, b"0000"))[0] > 0)' "$TERMINAL"
}

@test "a multiplexer with two serial lines and a monitor on a socket: the focus stays where it is" {
	SERIAL_ARGS=(-chardev "socket,id=mux0,path=$VM_SERIAL,server=on,wait=off,mux=on" -serial chardev:mux0 -mon chardev=mux0
		-device isa-serial,chardev=mux0)
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE
	start_link mux "$VM_SERIAL"
	wait_link 10 mux pattern-ok 5
	# Around, until the monitor has the focus.
	local i greetings
	for i in 1 2 3; do
		send_link mux '\001c'
		if wait_link 1 mux '(qemu)'; then
			break
		fi
	done
	greetings=$(link_count mux 'monitor - type')
	send_link mux 'info stat'
	wait_link 5 mux 'info stat'
	update_vm new
	send_link mux 'us\n'
	wait_link 5 mux 'VM status: running'
	# Of the way around from the monitor to the monitor, a third before an update, and two after it.
	send_link mux '\001c'
	update_vm old
	send_link mux '\001c\001cinfo status\n'
	wait_link 5 mux 'VM status: running' 2
	# It greeted at its first turn, and never again.
	[ "$(link_count mux 'monitor - type')" = "$greetings" ]
}

@test "HMP on a pty and on stdio: half a line stays, no new banner" {
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE -chardev pty,id=hmp -mon chardev=hmp
	local name
	name=$(chardev_name hmp)
	stty -F "${name#pty:}" raw -echo
	start_link hmp "${name#pty:}"
	wait_link 5 hmp '(qemu)'
	send_link hmp 'info stat'
	wait_link 5 hmp 'info stat'
	there_and_back vm_ctl query-status
	send_link hmp 'us\r'
	wait_link 5 hmp 'VM status: running'
	[ "$(link_count hmp 'monitor - type')" -le 1 ]
	end_process "$VM_PID"

	use_qemu old
	EXPECTED='(qemu)' start_on_terminal tty -nodefaults -display none -monitor stdio -serial "file:$VM_DIR/console"
	wait_link 5 tty '(qemu)'
	send_link tty 'info stat'
	wait_link 5 tty 'info stat'
	update_vm new
	send_link tty 'us\r'
	wait_link 5 tty 'VM status: running'
	[ "$(link_count tty 'monitor - type')" = 1 ]
}

# --- displays, the debugger's port, monitors on TCP ---

@test "VNC on several displays, websocket and password; gdbstub; QMP and HMP on TCP" {
	local ports display=$((RANDOM % 1000 + 3000))
	mapfile -t ports < <(free_ports 4)
	boot_guest -M $MACHINE -vnc ":$display,share=force-shared" -vnc "unix:$VM_DIR/vnc.sock,id=second" \
		-vnc "127.0.0.1:$((display + 1)),id=third,websocket=${ports[0]},password=on" \
		-gdb "tcp:127.0.0.1:${ports[1]}" -qmp "tcp:127.0.0.1:${ports[2]},server=on,wait=off" \
		-monitor "tcp:127.0.0.1:${ports[3]},server=on,wait=off"
	start_link viewer "127.0.0.1:$((5900 + display))"
	wait_link 5 viewer RFB
	start_knock any "127.0.0.1:$((5900 + display))" "RFB 003" 3
	start_knock unix "$VM_DIR/vnc.sock" "RFB 003" 3
	start_knock third "127.0.0.1:$((5900 + display + 1))" "RFB 003" 3
	start_knock web "127.0.0.1:${ports[0]}" "HTTP/1.1" 3 'GET / HTTP/1.1\r\n\r\n'
	start_link qmp "127.0.0.1:${ports[2]}"
	send_link qmp '{"execute": "qmp_capabilities"}\n'
	wait_link 5 qmp '"return"'
	start_link hmp "127.0.0.1:${ports[3]}"
	wait_link 5 hmp '(qemu)'
	send_link hmp 'info stat'
	wait_link 5 hmp 'info stat'

	update_vm new
	# A display's client is cut off, and said to be.
	jq -e --arg it "client of tcp:127.0.0.1:$((5900 + display))" '.warnings == [] and any(.closed[]; .detail == $it)' <<<"$UPDATE_RESULT"
	wait_for 5 grep -q eof "$VM_DIR/viewer.json"
	send_link hmp 'us\n'
	wait_link 5 hmp 'VM status: running'
	send_link qmp '{"execute": "query-version", "id": "new"}\n'
	wait_link 5 qmp '"id": "new"'
	update_vm old
	send_link qmp '{"execute": "query-version", "id": "old"}\n'
	wait_link 5 qmp '"id": "old"'
	send_link hmp 'info version\n'
	wait_link 5 hmp '7.2'
	[ "$(link_count qmp '"QMP"')" = 1 ]
	[ "$(link_count hmp 'monitor - type')" = 1 ]

	local name
	for name in any unix third web; do
		stop_knock "$name"
	done
	vm_ctl query-vnc-servers | jq -e 'length == 3 and (.[] | select(.id == "third") | .auth == "vnc" and (.server | length == 2))'
	# A debugger that comes now stops the guest, and lets it go.
	start_link gdb "127.0.0.1:${ports[1]}"
	send_link gdb '+$?#3f'
	wait_link 5 gdb 'T05'
	send_link gdb '+$D;1#b0'
	wait_link 5 gdb 'OK'
	guest_alive
}

@test "SPICE: on TCP and UNIX sockets the listener stays, with agent and mouse, and clients can come again at once" {
	local ports inode agent=(-device virtio-serial-pci -chardev spicevmc,id=agent,name=vdagent
		-device virtserialport,chardev=agent,name=com.redhat.spice.0)
	mapfile -t ports < <(free_ports)
	boot_guest -M $MACHINE -spice "port=${ports[0]},addr=127.0.0.1,disable-ticketing=on,agent-mouse=on" "${agent[@]}" -device qxl-vga
	start_link viewer "127.0.0.1:${ports[0]}"
	send_link viewer "$SPICE_LINK"
	wait_link 5 viewer REDQ
	start_knock tcp "127.0.0.1:${ports[0]}" REDQ 6 "$SPICE_LINK"
	there_and_back spice_listens "${ports[0]}"
	wait_for 5 grep -q eof "$VM_DIR/viewer.json"
	stop_knock tcp
	guest_alive
	end_process "$VM_PID"

	use_qemu old
	boot_guest -M $MACHINE -spice "unix=on,addr=$VM_DIR/spice.sock,disable-ticketing=on" "${agent[@]}"
	inode=$(stat -c %i "$VM_DIR/spice.sock")
	start_knock unix "$VM_DIR/spice.sock" REDQ 6 "$SPICE_LINK"
	there_and_back guest_alive
	stop_knock unix
	[ "$(stat -c %i "$VM_DIR/spice.sock")" = "$inode" ]
}

spice_listens() {
	vm_ctl query-spice | jq -e --argjson port "$1" '.enabled and .port == $port'
}

# --- virtio-serial ports ---

# make_agent_initrd: the Linux guest's, and behind it an archive with Debian's guest agent and an echo on the second port.
make_agent_initrd() {
	local tree=$VM_DIR/tree program=/usr/sbin/qemu-ga

	mkdir -p "$tree"
	# shellcheck disable=SC2046 # names of libraries
	cp --parents -L "$program" $(ldd "$program" | grep -oE '/[^ ]+') "$tree"
	cp "$TEST_DIR/guest/init.sh" "$tree/init.worker"
	cat >"$tree/init" <<-'END'
		#!/bin/busybox sh
		/bin/busybox mount -t devtmpfs dev /dev
		{
			while [ ! -e /dev/vport0p2 ]; do
				/bin/busybox sleep 0.1
			done
			/usr/sbin/qemu-ga -m virtio-serial -p /dev/vport0p1 -t / -f /agent.pid &
			exec 3<>/dev/vport0p2
			while :; do
				/bin/busybox dd bs=4096 <&3 >&3
				/bin/busybox sleep 0.1
			done
		} </dev/null >/dev/null 2>&1 &
		exec /bin/busybox sh /init.worker
	END
	chmod 755 "$tree/init"
	{
		cat "$LINUX_GUEST/initrd.gz"
		(cd "$tree" && find . -print0 | cpio --quiet --null -o -H newc -R 0:0) | gzip -1
	} >"$VM_DIR/initrd"
}

# ask_agent ID: the answer to a guest-sync comes, on the one connection.
ask_agent() {
	send_link agent "{\"execute\": \"guest-sync\", \"arguments\": {\"id\": $1}}\n"
	wait_link "${2:-20}" agent "{\"return\": $1}"
}

agent_is_well() {
	AGENT_ID=$((AGENT_ID + 1))
	ask_agent "$AGENT_ID"
	send_link agent '{"execute": "guest-ping"}\n'
	wait_link 20 agent '{"return": {}}' $((AGENT_ID - 100))
}

@test "virtio-serial: the guest agent answers on the same connection; a stream through another port is whole" {
	local ports stream
	mapfile -t ports < <(free_ports)
	make_agent_initrd
	boot_linux -M $MACHINE -accel tcg -initrd "$VM_DIR/initrd" -device virtio-serial-pci \
		-chardev "socket,id=agent,path=$VM_DIR/agent.sock,server=on,wait=off" \
		-device virtserialport,nr=1,chardev=agent,name=org.qemu.guest_agent.0 \
		-chardev "socket,id=echo,host=127.0.0.1,port=${ports[0]},server=on,wait=off" \
		-device virtserialport,nr=2,chardev=echo,name=test.echo
	start_link agent "$VM_DIR/agent.sock"
	ask_agent 100 60
	AGENT_ID=100
	agent_is_well
	start_background "$VM_DIR/echo.json" "$TOOLS/echoes.py" --rate 100 127.0.0.1 "${ports[0]}"
	stream=$!
	wait_for 5 grep -q ready "$VM_DIR/echo.json"
	there_and_back agent_is_well
	# Asked right before an update, it answers once.
	send_link agent '{"execute": "guest-sync", "arguments": {"id": 999}}\n'
	update_vm new
	wait_link 20 agent '{"return": 999}'
	agent_is_well
	[ "$(link_count agent '{"return": 999}')" = 1 ]
	fails grep -q eof "$VM_DIR/agent.json"
	stop_client "$stream" "$VM_DIR/echo.json"
}

# --- ring buffers ---

@test "-chardev ringbuf: what it holds is there after an update, and after one that fails" {
	SERIAL_ARGS=(-chardev "socket,id=serial0,path=$VM_SERIAL,server=on,wait=off" -serial chardev:serial0)
	boot_guest -M $MACHINE -chardev ringbuf,id=ring,size=1048576 -device isa-serial,chardev=ring -chardev ringbuf,id=empty
	local data began written
	data=$(head -c 300000 /dev/urandom | base64 -w 0)
	began=$(date +%s%N)
	ring_write "$data"
	written=$((($(date +%s%N) - began) / 1000000))
	there_and_back guest_alive
	# A monitor reads byte by byte: what goes through one takes seconds.
	jq -e --argjson ms "$written" '([.phases] | flatten | map(.load) | max) < $ms / 4' <<<"$UPDATE_RESULT"
	update_fails
	[ "$(ring_read ring)" = "$data" ]
	[ "$(ring_read ring)" = "" ]
	[ "$(ring_read empty)" = "" ]
	ring_write "$data"
	update_vm new
	[ "$(ring_read ring)" = "$data" ]
}

ring_write() {
	local at

	# In pieces that a command line has room for; each is whole bytes.
	for ((at = 0; at < ${#1}; at += 100000)); do
		do_qmp ringbuf-write "{device: \"ring\", data: \"${1:at:100000}\", format: \"base64\"}"
	done
}

ring_read() {
	do_qmp ringbuf-read "{device: \"$1\", size: 4000000, format: \"base64\"}" | jq -r .
}

# --- an update that fails ---

last_outcome() { update_history | jq -r 'last | .outcome'; }

# A monitor's client that does not read for a while gets every answer, and FIFO and datagrams go on.
goes_on_after() {
	local ports slow before
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=$1
	mapfile -t ports < <(free_ports)
	mkfifo "$VM_DIR/line.in" "$VM_DIR/line.out"
	start_background "$VM_DIR/out" cat "$VM_DIR/line.out"
	exec 5<>"$VM_DIR/line.in"
	VM_SERIAL=udp:${ports[1]}:${ports[2]}
	SERIAL_ARGS=(-chardev "udp,id=serial0,host=127.0.0.1,port=${ports[1]},localaddr=127.0.0.1,localport=${ports[2]}"
		-serial chardev:serial0)
	# Few enough that the kernel never drops one, however long QEMU is busy with the slow client's questions.
	start_line --rate 10
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M $MACHINE -chardev "pipe,id=line,path=$VM_DIR/line" -mon chardev=line
	wait_serial 10 'T 3 '
	wait_for 5 grep -q 'monitor - type' "$VM_DIR/out"
	start_background "$VM_DIR/slow.log" "$TOOLS/slowqmp.py" "$VM_QMP" "$VM_DIR/slow.go"
	slow=$!
	wait_for 10 grep -q sent "$VM_DIR/slow.log"
	before=$(last_update)
	use_qemu new
	kill -USR2 "$VM_PID"
	# It reads when the guest runs again; the end of the update waits for it.
	wait_for 10 vm_ctl query-status
	sleep 1
	touch "$VM_DIR/slow.go"
	wait_for 20 newer_update_or_gone "$before"
	[ "$(last_outcome)" = failed ]
	wait_for 20 is_gone "$slow"
	grep -q all "$VM_DIR/slow.log"
	line_goes_on
	printf 'info version\n' >&5
	wait_for 5 grep -q '^7\.2' "$VM_DIR/out"
	stop_serial_client
}

@test "a failed update before the exec: a monitor's client that does not read gets every answer, FIFO and datagrams go on" {
	goes_on_after exec
}

@test "the same, after the exec" {
	goes_on_after init:exit
}
