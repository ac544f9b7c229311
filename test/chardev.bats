#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# chardev.bats - character devices, monitors, displays and descriptor sets through updates, there and back; rebind.bats has the
# plain ones.

load lib/common

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

MACHINE=pc-q35-7.2

# do_qmp COMMAND [ARGUMENTS, AS JQ WRITES THEM]
do_qmp() {
	vm_ctl "$(jq -nc --arg name "$1" "{execute: \$name, arguments: ${2:-{\}}}")"
}

# There and back, without a warning. In between and at the end the rest of the line, a command, must succeed.
there_and_back() {
	update_vm new
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	"$@"
	update_vm old
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	"$@"
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
