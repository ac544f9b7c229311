#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# refuse.bats - updates that are refused: before the guest is touched, with every reason at once, and nothing lost by it.
#
# Where a reason can be taken away, it is, and the VM is then updated.

bats_require_minimum_version 1.5.0

load lib/common

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

MACHINE=pc-q35-7.2

# reasons_are PATTERN...: each pattern matches one of UPDATE_RESULT's reasons, and there is no other reason.
reasons_are() {
	local pattern

	for pattern; do
		jq -e --arg pattern "$pattern" '.reasons | any(test($pattern))' <<<"$UPDATE_RESULT" >/dev/null || {
			echo "no reason says '$pattern': $UPDATE_RESULT" >&2
			return 1
		}
	done
	[ "$(jq '.reasons | length' <<<"$UPDATE_RESULT")" -eq $# ] || {
		echo "not $# reasons: $UPDATE_RESULT" >&2
		return 1
	}
}

# refused PATTERN...: cprctl update is refused for these reasons and no others, all in one answer; history and log say so.
refused() {
	refused_with "" "$@"
}

# refused_with BINARY PATTERN...
refused_with() {
	local before binary=("${1:+--binary}" "$1")

	[ -n "$1" ] || binary=()
	shift
	before=$(update_count)
	run -1 --separate-stderr ctl update --json "${binary[@]}" "$VM_PID"
	UPDATE_RESULT=$output
	echo "refusal: $output $stderr" >&2
	[ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = refused ]
	jq -e 'has("blackout_ms") | not' <<<"$UPDATE_RESULT"
	reasons_are "$@"
	[ "$(update_count)" -eq $((before + 1)) ]
	[ "$(update_history | jq -c 'last | .reasons')" = "$(jq -c .reasons <<<"$UPDATE_RESULT")" ]
	tail -n 1 "$VM_DIR/shim.log" | grep -q 'update refused'
}

# updatable [old|new|PATH]: an update works, and the guest has not noticed.
updatable() {
	update_vm "$@"
	guest_alive
}

# The state that the guest is left in by a refusal: running, and counting on.
untouched() {
	[ "$(vm_ctl query-status | jq -r .status)" = running ]
	guest_alive
}

# --- what does not go away while the VM runs ---

# A VM that has much against it; the refusal names all of it.
laden_vm() {
	qemu-img create -q -f vmdk "$VM_DIR/disk.vmdk" 16M
	qemu-img create -q -f raw "$VM_DIR/disk.raw" 16M
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	use_qemu "$1"
	boot_guest -M $MACHINE \
		-drive "file=$VM_DIR/disk.vmdk,if=none,id=vmdk" \
		-drive "file=$VM_DIR/disk.raw,format=raw,if=none,id=raw" -device nvme,drive=raw,serial=1 \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=temporary,snapshot=yes" \
		-object memory-backend-file,id=mem0,size=1M,mem-path="$VM_DIR/ram",share=off -device pc-dimm,memdev=mem0 \
		-m 256,slots=2,maxmem=1G \
		-netdev '{"type": "hubport", "id": "net1", "hubid": 1}'
	start_serial_client
}

laden_reasons=('^QEMU: .*vmdk' '^QEMU: .*nvme' 'snapshot=on' 'RAM block mem0 is a private mapping')

@test "every reason is named at once, by update, check and the log: QEMU 7.2" {
	laden_vm old
	refused "${laden_reasons[@]}"
	local reasons
	reasons=$(jq -c '.reasons | sort' <<<"$UPDATE_RESULT")
	run -1 --separate-stderr ctl check --json "$VM_PID"
	[ "$(jq -c '.reasons | sort' <<<"$output")" = "$reasons" ]
	[ "$(update_count)" -eq 1 ]
	run ! update_vm
	[ "$(update_history | jq -c 'last | .reasons | sort')" = "$reasons" ]
	grep -q "warning: update refused: .*vmdk" "$VM_DIR/shim.log"
	run -0 ctl status --json "$VM_PID"
	[ "$(jq -c '[.blockers[] | .what + ": " + .do] | sort' <<<"$output")" = "$reasons" ]
	untouched
	stop_serial_client
}

@test "every reason is named at once: QEMU 10.0" {
	laden_vm new
	refused "${laden_reasons[@]}"
	untouched
	stop_serial_client
}

@test "-sandbox spawn=deny: refused, the process is whole" {
	boot_guest -M q35 -sandbox on,spawn=deny
	refused '-sandbox spawn=deny'
	run ! update_vm
	untouched
	[ "$(thread_count)" -gt 2 ]
}

@test "-chroot: refused" {
	mkdir -p "$VM_DIR/root$VM_DIR" "$VM_DIR/root/proc" "$VM_DIR/root/dev"
	boot_guest -M q35 -chroot "$VM_DIR/root"
	# What else does not work there is of no matter.
	run -1 --separate-stderr ctl update --json "$VM_PID"
	[[ $output == *"-chroot hides the replacement"* ]]
	jq -e '.outcome == "refused"' <<<"$output"
	wait_for_guest 5
}

@test "a seccomp filter of QEMU's that allows exec does not pile up" {
	boot_guest -M $MACHINE -sandbox on
	start_serial_client
	local filters
	filters=$(grep Seccomp_filters "/proc/$VM_PID/status")
	[[ $filters == *1 ]]
	updatable new
	updatable old
	updatable new
	[ "$(grep Seccomp_filters "/proc/$VM_PID/status")" = "$filters" ]
	stop_serial_client
}

@test "a user without privileges: updated" {
	# The tree that is tested may lie where this user cannot look.
	cp "$SHIM" "$GUEST" "$VM_DIR"
	mkdir -p "$VM_DIR/new/bin"
	cp "$QEMU_NEW" "$VM_DIR/new/bin"
	SHIM=$VM_DIR/${SHIM##*/} GUEST=$VM_DIR/${GUEST##*/}
	chown -R nobody "$VM_DIR"
	VM_WRAPPER=(setpriv --reuid nobody --clear-groups --inh-caps=-all)
	boot_guest -M $MACHINE
	updatable "$VM_DIR/new/bin/qemu-system-x86_64"
	updatable old
	[ "$(stat -c %U "/proc/$VM_PID")" = nobody ]
}

# --- what goes away ---

@test "run states other than running and paused" {
	start_vm -M q35 -nodefaults -m 64 -kernel "$GUEST" -S
	refused 'state "prelaunch"'
	vm_ctl cont
	wait_for_guest 20
	updatable
	end_process "$VM_PID"

	start_vm -M q35 -nodefaults -m 64 -incoming defer
	refused 'state "inmigrate"'
	end_process "$VM_PID"

	boot_guest -M q35 -no-shutdown
	hmp "o/h 0x604 0x2000"
	wait_for 5 in_state shutdown
	refused 'state "shutdown"'
	end_process "$VM_PID"

	boot_guest -M q35 -device pvpanic -action panic=pause
	hmp "o/b 0x505 1"
	wait_for 5 in_state guest-panicked
	refused 'state "guest-panicked"'
	in_state guest-panicked
}

in_state() {
	[ "$(vm_ctl query-status | jq -r .status)" = "$1" ]
}

@test "what was added through a monitor that is not watched is named, and may be removed again" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	mkfifo "$VM_DIR/pipe.in" "$VM_DIR/pipe.out"
	start_background "$VM_DIR/pipe.log" cat "$VM_DIR/pipe.out"
	boot_guest -M $MACHINE -device qemu-xhci,id=usb -chardev "pipe,id=pipe,path=$VM_DIR/pipe" -mon chardev=pipe \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk,id=blk
	start_serial_client
	wait_for 5 grep -q monitor "$VM_DIR/pipe.log"
	printf '%s\n' 'device_add usb-tablet,id=tablet' 'chardev-add null,id=late' 'object_add iothread,id=io' \
		'netdev_add hubport,id=hub,hubid=3' 'drive_add 0 if=none,id=more,file=null-co://' >"$VM_DIR/pipe.in"
	wait_for 5 has_drive more
	refused '^device tablet .*was added.*QMP socket' '^character device late was added' '^object io .*was added' \
		'^network hub was added' '^block node .* null-co .*was added' '^block node .* raw .*was added' \
		'^drive more .*was added'
	untouched
	do_qmp device_del '{id: "tablet"}'
	do_qmp chardev-remove '{id: "late"}'
	do_qmp object-del '{id: "io"}'
	do_qmp netdev_del '{id: "hub"}'
	hmp 'drive_del more'
	updatable new
	stop_serial_client
}

has_drive() { vm_ctl query-block | jq -e --arg id "$1" 'any(.device == $id)'; }

@test "a character device that was changed into another is named" {
	boot_guest -M $MACHINE -chardev null,id=line -device isa-serial,chardev=line
	do_qmp chardev-change "{id: \"line\", backend: {type: \"file\", data: {out: \"$VM_DIR/line\"}}}"
	refused 'character device line was removed after the start, but -device'
	guest_alive
}

@test "an external snapshot is another block graph; committed, it is not" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -M $MACHINE -drive "file=$VM_DIR/disk.qcow2,if=virtio,id=disk,format=qcow2"
	do_qmp blockdev-snapshot-sync "{device: \"disk\", \"snapshot-file\": \"$VM_DIR/top.qcow2\", format: \"qcow2\"}"
	refused 'block node .* qcow2 .*top.qcow2 on .*disk.qcow2 was added' 'block node .* file .*top.qcow2 was added' \
		'block node .* qcow2 .*disk.qcow2 read-only was added' 'block node .* file .*disk.qcow2 read-only was added' \
		'drive disk .*top.qcow2 was added' 'drive disk .*disk.qcow2 was removed or changed'
	untouched
	do_qmp block-commit '{device: "disk", "job-id": "commit"}'
	wait_for 10 job_ready commit
	do_qmp job-complete '{id: "commit"}'
	wait_for 10 no_jobs
	updatable new
}

job_ready() { vm_ctl query-jobs | jq -e --arg id "$1" 'any(.id == $id and .status == "ready")'; }
no_jobs() { vm_ctl query-jobs | jq -e '. == []'; }

@test "running block jobs and block exports, an NBD server" {
	qemu-img create -q -f qcow2 -o preallocation=falloc "$VM_DIR/disk.qcow2" 16M
	boot_guest -M $MACHINE -drive "file=$VM_DIR/disk.qcow2,if=virtio,id=disk,format=qcow2"
	do_qmp drive-mirror "{device: \"disk\", \"job-id\": \"copy\", target: \"$VM_DIR/copy.qcow2\", sync: \"full\", speed: 65536}"
	do_qmp nbd-server-start "{addr: {type: \"unix\", data: {path: \"$VM_DIR/nbd.sock\"}}}"
	do_qmp block-export-add "{type: \"nbd\", id: \"exported\", \"node-name\": $(node_of disk), name: \"disk\"}"
	run -1 --separate-stderr ctl update --json "$VM_PID"
	UPDATE_RESULT=$output
	echo "$output" >&2
	jq -e '.outcome == "refused" and (.reasons | any(test("^job \"copy\" \\(mirror\\)")) and any(test("export \"exported\"")) and
		any(test("listens at .*nbd.sock")))' <<<"$output"
	untouched
	do_qmp block-job-cancel '{device: "copy", force: true}'
	wait_for 10 no_jobs
	do_qmp block-export-del '{id: "exported"}'
	# An NBD server with nothing to serve would be gone as well.
	refused 'listens at unix:.*nbd.sock'
	vm_ctl nbd-server-stop
	updatable new
}

node_of() {
	vm_ctl query-block | jq --arg device "$1" '.[] | select(.device == $device) | .inserted["node-name"]'
}

@test "a dirty bitmap is refused if it is not persistent, and survives if it is" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -M $MACHINE -drive "file=$VM_DIR/disk.qcow2,if=virtio,id=disk,format=qcow2"
	do_qmp block-dirty-bitmap-add '{node: "disk", name: "fleeting"}'
	do_qmp block-dirty-bitmap-add '{node: "disk", name: "lasting", persistent: true}'
	refused 'dirty bitmap "fleeting" .* is not persistent'
	untouched
	do_qmp block-dirty-bitmap-remove '{node: "disk", name: "fleeting"}'
	updatable new
	bitmap_is_well
	vm_ctl stop
	update_vm old
	vm_ctl cont
	bitmap_is_well
}

bitmap_is_well() {
	vm_ctl query-block | jq -e '.[] | select(.device == "disk") | .inserted["dirty-bitmaps"] | length == 1 and
		.[0].name == "lasting" and .[0].recording and .[0].persistent and .[0].inconsistent != true'
}

# ring COMMAND...: QEMU's ring does it (test/programs/ringer.c); the number that it answers is in RING.
ring() {
	rm -f "$VM_DIR/ring.did"
	echo "$*" >"$VM_DIR/ring.next"
	mv "$VM_DIR/ring.next" "$VM_DIR/ring.do"
	wait_for 5 test -e "$VM_DIR/ring.did"
	RING=$(cat "$VM_DIR/ring.did")
	[ "$RING" -ge 0 ]
}

# is_planned FD KIND ACTION, is_recorded FD: what the kernel tells of it at an update, and whether a hook has seen it.
is_planned() {
	ctl status --json "$VM_PID" | jq -e --argjson fd "$1" --arg kind "$2" --arg action "$3" \
		'any(.plan[]; .fd == $fd and .kind == $kind and .action == $action)'
}

is_recorded() { ctl status --json "$VM_PID" | jq -e --argjson fd "$1" 'any(.descriptors[]; .fd == $fd)'; }

@test "what a ring opens, accepts and closes is seen; what it has without a number or waits for is refused" {
	local opened accepted what

	RINGER_DIR=$VM_DIR SHIM=$SHIM:$CPRSHIM_BUILDDIR/test/programs/.libs/ringer.so boot_guest -M $MACHINE
	start_serial_client
	ring open "$VM_DIR/opened"
	opened=$RING
	ring accept
	accepted=$RING
	ring stale "$VM_DIR/stale"
	fails is_recorded "$opened"
	fails is_recorded "$accepted"
	is_recorded "$RING"
	is_planned "$opened" file reopen
	is_planned "$accepted" outgoing-connection close
	ctl status --json "$VM_PID" | jq -e --argjson fd "$RING" 'all(.plan[]; .fd != $fd)'
	updatable new
	jq -e --argjson fd "$accepted" 'any(.closed[]; .fd == $fd)' <<<"$UPDATE_RESULT"
	fails is_recorded "$opened"
	fails is_recorded "$accepted"

	for what in "keep with a table of files of its own" "wait-accept that waits for a connection or a message" \
		"wait-message that waits for a connection or a message"; do
		ring "${what%% *}"
		refused "^descriptor [0-9]+ is a ring ${what#* }: "
		ring end
	done
	updatable old
	stop_serial_client
}

@test "descriptors passed in by a monitor's client that cannot be given again; a debugger at the gdbstub" {
	boot_guest -M $MACHINE -gdb "unix:$VM_DIR/gdb.sock,server=on,wait=off"
	# Something else is called so too: it may have taken it.
	"$TOOLS/getfd.py" "$VM_CTL" 30 null '{"execute": "object-add", "arguments": {"qom-type": "iothread", "id": "null"}}' 30</dev/null
	"$TOOLS/getfd.py" "$VM_QMP" 30 zero 30</dev/zero
	start_link qmp "$VM_QMP"
	wait_link 5 qmp QMP
	start_background "$VM_DIR/gdb.log" python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"$qSupported#37")
print(s.recv(1), flush=True)
sys.stdin = open(sys.argv[2])
sys.stdin.read()' "$VM_DIR/gdb.sock" "$VM_DIR/gdb.wait"
	mkfifo "$VM_DIR/gdb.wait"
	wait_for 5 grep -q "^b'" "$VM_DIR/gdb.log"
	vm_ctl cont
	run -1 --separate-stderr ctl update --json "$VM_PID"
	UPDATE_RESULT=$output
	reasons_are '/dev/null\) was passed in .* what may have taken it' '/dev/zero\) was passed in .* not negotiated' \
		'a debugger is connected'
	: >"$VM_DIR/gdb.wait"
	wait_for 5 gdb_is_gone
	vm_ctl cont
	do_qmp closefd '{fdname: "null"}'
	send_link qmp '{"execute": "qmp_capabilities"}\n'
	wait_link 5 qmp '"return"'
	updatable new
}

gdb_is_gone() {
	vm_ctl query-chardev | jq -e '.[] | select(.label == "gdb") | .filename | startswith("disconnected")'
}

@test "a limit on open files that is too low: the VM runs as ever, updates are refused" {
	local limit

	for limit in 48 64 96; do
		VM_WRAPPER=(prlimit "--nofile=$limit:$limit")
		boot_guest -M q35
		run -1 --separate-stderr ctl update --json "$VM_PID"
		echo "$limit: $output" >&2
		jq -e '.outcome == "refused" and (.reasons | any(test("limit on open files")))' <<<"$output"
		grep -q 'cannot be updated: .*limit on open files' "$VM_DIR/shim.log"
		untouched
		end_process "$VM_PID"
	done
	VM_WRAPPER=(prlimit --nofile=1024:1024)
	boot_guest -M q35
	updatable
}

@test "a limit on the size of files that is lower than guest RAM or the table: the VM runs as ever, updates are refused" {
	local limit
	local -A why=([$((100 << 20))]='from a memfd (limit on open files, file size or memory?)' [4096]='File too large')

	for limit in "${!why[@]}"; do
		VM_WRAPPER=(prlimit "--fsize=$limit:$limit")
		boot_guest -M $MACHINE
		grep -F "this VM cannot be updated: " "$VM_DIR/shim.log" | tail -n 1 | grep -F "${why[$limit]}"
		fails ctl update "$VM_PID"
		kill -USR2 "$VM_PID"
		guest_alive
		end_process "$VM_PID"
	done
}

@test "a VM that could not be prepared for updates: it is said, and SIGUSR2 does not end it" {
	# Without /proc nothing can be found out at the start.
	VM_WRAPPER=(unshare -m --propagation private sh -c 'umount -l /proc && exec "$@"' -)
	boot_guest -M $MACHINE
	grep -q 'error: this VM cannot be updated: No such file or directory' "$VM_DIR/shim.log"
	kill -USR2 "$VM_PID"
	wait_for 5 grep -q 'SIGUSR2 is ignored' "$VM_DIR/shim.log"
	run -1 ctl update "$VM_PID"
	[ "$output" = "cprctl: VM $VM_PID was not updated: it has no control socket and cannot be updated: its log and cprctl status say why" ]
	run -1 ctl status "$VM_PID"
	[[ $output == *"the descriptor table of VM $VM_PID is incomplete: No such file or directory"* ]]
	guest_alive
}

# --- several at once ---

pending_connections() {
	grep -c "$VM_DIR/run/$VM_PID.sock" /proc/net/unix
}

connections_pending() { [ "$(pending_connections)" -ge "$1" ]; }

@test "two updates at once: one is done, the other is refused" {
	boot_guest -M $MACHINE
	# Both requests lie there before the VM can look at the first.
	kill -STOP "$VM_PID"
	start_background "$VM_DIR/first.json" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --json --binary "$QEMU_NEW" "$VM_PID"
	local first=$!
	start_background "$VM_DIR/second.json" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --json --binary "$QEMU_NEW" "$VM_PID"
	local second=$!
	wait_for 5 connections_pending 3
	kill -CONT "$VM_PID"
	wait_for 20 is_gone "$first"
	wait_for 20 is_gone "$second"
	[ "$(jq -r .outcome "$VM_DIR/first.json" "$VM_DIR/second.json" | sort | xargs)" = "refused updated" ]
	jq -es 'map(select(.outcome == "refused") | [.blockers[].code]) == [["update-under-way"]]' \
		"$VM_DIR/first.json" "$VM_DIR/second.json"
	[ "$(update_history | jq 'map(select(.outcome == "updated")) | length')" -eq 1 ]
	guest_alive
	updatable old
}

@test "cprctl update and SIGUSR2 at once: one update" {
	boot_guest -M $MACHINE
	kill -STOP "$VM_PID"
	start_background "$VM_DIR/first.json" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --json "$VM_PID"
	local first=$!
	wait_for 5 connections_pending 2
	kill -USR2 "$VM_PID"
	kill -CONT "$VM_PID"
	wait_for 20 is_gone "$first"
	[ "$(update_history | jq 'map(select(.outcome == "updated")) | length')" -eq 1 ]
	jq -e '.outcome == "updated" or [.blockers[].code] == ["update-under-way"]' "$VM_DIR/first.json"
	guest_alive
	updatable
}

@test "SIGUSR2 while an update is under way is ignored" {
	boot_guest -M $MACHINE
	kill -USR2 "$VM_PID"
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		sleep 0.01
		kill -USR2 "$VM_PID"
	done
	wait_for 20 update_beyond 0
	wait_for 5 ctl status "$VM_PID"
	vm_lives
	[ "$(update_history | jq 'map(select(.outcome != "updated")) | length')" -eq 0 ]
	guest_alive
	updatable new
}

# --- bad input ---

@test "a process that is not under the shim is left alone" {
	PRELOAD=no boot_guest -M q35
	run -1 --separate-stderr ctl update "$VM_PID"
	[[ $stderr == *"process $VM_PID"*"is not a VM under the shim"* ]]
	vm_lives
	guest_alive
	run -1 --separate-stderr ctl update $$
	[[ $stderr == *"is not a VM under the shim"* ]]
	local gone
	sh -c 'exit 0' &
	gone=$!
	wait $gone
	run -1 --separate-stderr ctl update "$gone"
	[[ $stderr == *"there is no process $gone"* ]]
	run -2 --separate-stderr ctl update
	run -2 --separate-stderr ctl update 12x
	run -2 --separate-stderr ctl update --method teleport "$VM_PID"
	[[ $stderr == *"teleport is no update method"* ]]
	run -2 --separate-stderr ctl update --bogus "$VM_PID"
}

# bad_binary NAME PATTERN...: a file of that name in bad/ is refused for these reasons.
bad_binary() {
	local name=$1

	shift
	refused_with "$VM_DIR/bad/$name" "$@"
}

make_bad_binaries() {
	local elf

	mkdir "$VM_DIR/bad"
	cd "$VM_DIR/bad" || return 1
	mkdir directory
	cp "$QEMU_OLD" not-executable
	chmod 644 not-executable
	printf '#!/bin/sh\nexec "%s"\n' "$QEMU_OLD" >script
	echo "This is no program." >text
	: >empty
	chmod +x script text empty
	cp "$QEMU_OLD" other-machine
	# e_machine (elf.h): 0xb7 is AArch64
	printf '\xb7' | dd of=other-machine bs=1 seek=18 conv=notrunc status=none
	head -c 1000000 "$QEMU_OLD" >cut-off
	chmod +x cut-off
	cp /bin/true true
	cp "$(command -v busybox)" static
	cp "$QEMU_OLD" setuid
	chmod 4755 setuid
	cp "$QEMU_OLD" writable
	chmod 777 writable
	cp "${QEMU_NEW%/*}/qemu-system-i386" .
	for elf in missing-library qemu-system-x86_64; do
		echo 'int gone(void) { return 0; }' >gone.c
		echo 'int gone(void); int main(void) { return gone(); }' >program.c
		"${CC:-gcc}" -shared -fPIC -o libgone.so gone.c
		"${CC:-gcc}" -o "$elf" program.c ./libgone.so
	done
	rm libgone.so
	cd "$OLDPWD" || return 1
}

@test "binaries that cannot replace it are refused, each with its sentence" {
	make_bad_binaries
	boot_guest -M $MACHINE
	start_serial_client
	start_qmp_client
	bad_binary no-such-file 'no-such-file cannot be opened: No such file'
	bad_binary directory 'directory is not a regular file'
	bad_binary not-executable 'is not executable'
	bad_binary script 'the command that starts .* does not give it its own arguments'
	bad_binary text 'text is not an ELF program'
	bad_binary empty 'empty is not an ELF program'
	bad_binary other-machine 'another kind of processor'
	bad_binary cut-off 'cut-off does not start as a QEMU'
	bad_binary true 'true does not (start|answer) as a QEMU'
	bad_binary static 'statically linked'
	bad_binary setuid 'setuid gains privileges'
	bad_binary writable 'writable can be changed by'
	bad_binary qemu-system-i386 'emulates i386, but the guest is x86_64'
	bad_binary missing-library 'needs the library \./libgone.so, which is not found'
	bad_binary qemu-system-x86_64 'needs the library \./libgone.so'
	guest_alive
	updatable new
	stop_serial_client
	stop_qmp_client
}

@test "a QEMU that does not know the machine type is refused" {
	use_qemu new
	boot_guest -M pc-q35-9.0
	refused_with "$QEMU_OLD" 'QEMU 7.2.* does not know the machine type pc-q35-9.0'
	untouched
	updatable
}

@test "a configured method or binary that is wrong is refused with a sentence" {
	CPRSHIM_METHOD=teleport CPRSHIM_BINARY=/nowhere/qemu-system-x86_64 boot_guest -M q35
	run ! update_vm
	UPDATE_RESULT=$(update_history | jq -c last)
	reasons_are 'the method "teleport" is not known' '/nowhere/qemu-system-x86_64 cannot be opened'
	untouched
	run -0 ctl update --json --method exec --binary "$QEMU_OLD" "$VM_PID"
	guest_alive
}

@test "a path that is not absolute: cprctl completes it, the VM refuses it" {
	boot_guest -M $MACHINE
	cd "${QEMU_NEW%/*}"
	run -0 ctl update --binary "${QEMU_NEW##*/}" "$VM_PID"
	cd "$VM_DIR"
	vm_runs new
	run -0 python3 -c 'import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"{\"command\": \"update\", \"binary\": \"qemu-system-x86_64\"}\n")
print(s.makefile().read())' "$VM_DIR/run/$VM_PID.sock"
	[[ $output == *"is not an absolute path"* ]]
	guest_alive
}
