#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What SECURITY.md promises: who may have a VM updated, and to what; whose state a new program takes for its own; what
# others can put in the way; what is written down, and what is not.

bats_require_minimum_version 1.5.0

load lib/common

setup() {
	setup_vm_dir
}

teardown() {
	teardown_vm_dir
}

# refused_as CODE COMMAND...: an update is refused, for this reason and no other
refused_as() {
	local code=$1

	shift
	fails "$@"
	jq -e --arg code "$code" '.outcome == "refused" and ([.blockers[].code] == [$code])' <<<"$UPDATE_RESULT"
}

# in_private DIRECTORY SYSTEM_DIRECTORY: what the VM is started in sees one in the other's place, and nobody else does
in_private() {
	# shellcheck disable=SC2016 # the inner shell expands it
	VM_WRAPPER=(unshare -m sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$1" "$2")
}

in_vm_namespace() {
	nsenter -m -t "$VM_PID" -- "$@"
}

@test "inhibited: updates are refused, whoever asks, until that is ended" {
	boot_guest
	ctl status "$VM_PID" | grep -q '^PID'
	ctl status --json "$VM_PID" | jq -e '.inhibited == null'
	ctl inhibit "$VM_PID" --reason "backup until 6"
	refused_as inhibited update_by_ctl --no-rehearse
	jq -e '.reasons[0] | contains("backup until 6")' <<<"$UPDATE_RESULT"
	refused_as inhibited update_vm new
	run -1 ctl check "$VM_PID"
	[[ $output == *"backup until 6"* ]]
	ctl status "$VM_PID" | grep -qx 'inhibited    backup until 6'
	ctl uninhibit "$VM_PID"
	ctl uninhibit "$VM_PID"
	ctl status --json "$VM_PID" | jq -e '.inhibited == null and .blockers == []'
	update_vm new
	ctl inhibit "$VM_PID"
	refused_as inhibited update_vm old
	guest_alive
}

# The log of the host, where the VM sees one: each datagram a line.
start_log() {
	local node

	mkdir "$VM_DIR/dev"
	for node in null zero full random urandom; do
		cp -a "/dev/$node" "$VM_DIR/dev"
	done
	start_background "$VM_DIR/host.log" socat -u "UNIX-RECVFROM:$VM_DIR/dev/log,fork" "SYSTEM:cat; echo"
	wait_for 5 test -S "$VM_DIR/dev/log"
	in_private "$VM_DIR/dev" /dev
}

logged() {
	wait_for 5 grep -qE "^<85>.* cprshim\[$VM_PID\]: VM \"guest one\": $1" "$VM_DIR/host.log"
}

@test "the host's log has a line for each update, with who asked for it" {
	start_log
	boot_guest -name "guest one"
	update_vm new
	logged "update updated, from $QEMU_OLD \(7\.2\.[^)]*\) to $VM_DIR/qemu-system-x86_64 \(10\.0\.[^)]*\); asked for by user 0, process [0-9]+, by SIGUSR2$"
	update_by_ctl --no-rehearse --binary "$QEMU_OLD"
	logged "update updated, from .* \(10\.0\.[^)]*\) to $QEMU_OLD \(7\.2\.[^)]*\); asked for by user 0, process [0-9]+$"
	fails update_by_ctl --binary /bin/true
	logged 'update refused, from .* to /bin/true \(\): .*; asked for by user 0, process [0-9]+$'
	ctl inhibit "$VM_PID" --reason "two
lines"
	logged 'updates inhibited: two\?lines; asked for by user 0'
	# No descriptor of the log's stays.
	[ "$(ss -x 2>/dev/null | grep -c "$VM_DIR/dev/log")" -le 1 ]
	guest_alive
}

@test "the control socket is the VM's user's and root's; who gets to it all the same is refused, and that is logged" {
	local socket python

	start_log
	boot_guest -name "guest one"
	socket=$VM_DIR/run/$VM_PID.sock
	[ "$(stat -c '%a %u' "$socket")" = "600 0" ]
	chmod 755 "$VM_DIR" "$VM_DIR/run"
	python='import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
print(s.makefile().readline())'
	run -1 setpriv --reuid nobody --clear-groups /usr/bin/python3 -c "$python" "$socket"
	[[ $output == *"Permission denied"* ]]
	chmod 666 "$socket"
	run -0 --separate-stderr setpriv --reuid nobody --clear-groups /usr/bin/python3 -c "$python" "$socket"
	jq -e '.ok == false and .blockers[0].code == "not-permitted"' <<<"$output"
	logged "a request was refused: .*; asked for by user $(id -u nobody), process [0-9]+$"
	ctl status --json "$VM_PID" | jq -e '.inhibited == null'
}

# policy LINE...: what cprshim.conf says to the VM
policy() {
	printf '%s\n' "$@" >"$VM_DIR/etc/cprshim.conf"
}

@test "an allow-list of directories: replacements come from there only, by SIGUSR2 too, and links lead nowhere else" {
	cp -a /etc "$VM_DIR/etc"
	policy "# nothing is said"
	in_private "$VM_DIR/etc" /etc
	boot_guest
	policy "allow ${QEMU_OLD%/*}" "  allow /opt/qemu/ "
	refused_as not-allowed update_vm new
	refused_as not-allowed update_by_ctl --binary "$QEMU_NEW"
	refused_as not-allowed update_by_ctl --command env "$QEMU_OLD"
	# cprctl says so by itself where it sees the same list.
	run -1 in_vm_namespace "$CPRCTL" update "$VM_PID" --binary "$QEMU_NEW"
	[[ $output == *"is in no directory that /etc/cprshim.conf allows"* ]]
	run -1 in_vm_namespace "$CPRCTL" check "$VM_PID" --command env "$QEMU_OLD"
	[[ $output == *"allows files only"* ]]
	ln -s "$QEMU_NEW" "$VM_DIR/etc/qemu-system-x86_64"
	policy "allow ${QEMU_OLD%/*}" "allow /etc"
	refused_as not-allowed update_by_ctl --binary /etc/qemu-system-x86_64
	# What a script leads to counts too.
	printf '#!/bin/sh\nexec %s "$@"\n' "$QEMU_NEW" >"$VM_DIR/etc/new"
	chmod 755 "$VM_DIR/etc/new"
	refused_as not-allowed update_by_ctl --binary /etc/new
	# What is not understood, or not root's alone, allows nothing.
	policy "allow /" "allow-more /"
	refused_as policy update_vm new
	policy "allow /"
	chmod 666 "$VM_DIR/etc/cprshim.conf"
	refused_as policy update_vm new
	chmod 644 "$VM_DIR/etc/cprshim.conf"
	chown nobody "$VM_DIR/etc/cprshim.conf"
	refused_as policy update_vm new
	chown root "$VM_DIR/etc/cprshim.conf"
	# What may be for a newer library than the VM's is passed over by the VM, with a warning; cprctl knows better.
	policy "# a word of a later version" "new-word yes" "allow $(readlink -f "${QEMU_NEW%/*}")"
	update_vm new
	jq -e '[.warnings[] | select(test("cprshim.conf, line 2: \"new-word\" is not understood"))] | length == 1' \
		<<<"$UPDATE_RESULT"
	run -1 in_vm_namespace "$CPRCTL" check "$VM_PID"
	[[ $output == *'/etc/cprshim.conf, line 2: "new-word" is not understood'* ]]
	guest_alive
}

# not_taken REASON PYTHON: a QEMU that is told by its environment that this is its state goes its own way
not_taken() {
	VM_WRAPPER=(python3 -c "import fcntl, os, sys
$2
os.dup2(fd, 40)
os.environ['CPRSHIM_STATE'] = '40'
os.execvp(sys.argv[1], sys.argv[1:])")
	rm -f "$VM_DIR/shim.log"
	boot_guest
	grep -qF "the CPR state on descriptor 40 is not used: $1" "$VM_LOG"
	end_process "$VM_PID"
	rm -f "$VM_DIR"/*.sock "$VM_LOG"
}

@test "a state that was put under a program by its environment is not used" {
	local golden=$CPRSHIM_SRCDIR/test/golden/v1-sample.bin

	not_taken "it is not a sealed memfd" "fd = os.open('$golden', os.O_RDONLY)"
	not_taken "it is not a sealed memfd" "fd = os.memfd_create('x', os.MFD_ALLOW_SEALING)
os.write(fd, open('$golden', 'rb').read())"
	not_taken "it is a copy" "fd = os.memfd_create('x', os.MFD_ALLOW_SEALING)
os.write(fd, open('$golden', 'rb').read())
fcntl.fcntl(fd, fcntl.F_ADD_SEALS, 15)"
}

@test "a run directory that others may write to is not used; in one that is sticky, what others put there is not followed" {
	chmod 777 "$VM_DIR/run"
	boot_guest
	[ -z "$(ls -A "$VM_DIR/run")" ]
	grep -q 'no control socket: Operation not permitted' "$VM_DIR/shim.log"
	end_process "$VM_PID"
	rm -f "$VM_DIR"/*.sock

	chmod 1777 "$VM_DIR/run"
	chmod 755 "$VM_DIR"
	mkdir -p "$VM_DIR/own/bin" "$VM_DIR/own/lib/x86_64-linux-gnu"
	cp -r "${QEMU_OLD%/bin/*}/lib/x86_64-linux-gnu/qemu" "$VM_DIR/own/lib/x86_64-linux-gnu"
	ln -s "${QEMU_OLD%/bin/*}/share" "$VM_DIR/own"
	cp "$(readlink -f "$QEMU_OLD")" "$VM_DIR/own/bin/qemu-system-x86_64"
	use_qemu "$VM_DIR/own/bin/qemu-system-x86_64"
	boot_guest
	[ -S "$VM_DIR/run/$VM_PID.sock" ]
	# The way back needs links, since its files have changed.
	rm "$VM_DIR/own/lib/x86_64-linux-gnu/qemu/ui-curses.so"
	setpriv --reuid nobody --clear-groups mkdir "$VM_DIR/run/$VM_PID.files"
	fails update_by_ctl --binary "$QEMU_NEW"
	jq -e '.outcome == "refused" and .blockers[0].code == "way-back"' <<<"$UPDATE_RESULT"
	[ -z "$(ls -A "$VM_DIR/run/$VM_PID.files")" ]
	rmdir "$VM_DIR/run/$VM_PID.files"
	update_by_ctl --binary "$QEMU_NEW"
	guest_alive
}

@test "no secret is in the log, the status, the history, the host's log or the run directory" {
	local secret=Grauzone77 password=Birke42x

	start_log
	export CPRSHIM_LOG=debug
	boot_guest -name "guest one" -object "secret,id=s0,data=$secret" -vnc "unix:$VM_DIR/vnc.sock,password=on"
	vm_ctl "$(jq -cn --arg p "$password" '{execute: "set_password", arguments: {protocol: "vnc", password: $p}}')"
	vm_ctl "$(jq -cn --arg d "$secret" '{execute: "object-add", arguments: {"qom-type": "secret", id: "s1", data: $d}}')"
	update_vm new
	update_vm old
	fails update_by_ctl --binary /bin/true
	{
		ctl check --rehearse --json "$VM_PID"
		ctl status --json "$VM_PID"
		ctl status "$VM_PID"
		ctl history --json "$VM_PID"
	} >"$VM_DIR/shown"
	[ "$(wc -l <"$VM_DIR/shim.log")" -gt 10 ]
	logged 'update updated'
	run -1 grep -rlE "$secret|$password" "$VM_DIR/shown" "$VM_DIR/shim.log" "$VM_DIR/host.log" "$VM_DIR/run" "$VM_LOG"
	# They are still known to whom they belong.
	[ "$(vm_ctl '{"execute": "qom-get", "arguments": {"path": "/objects/s1", "property": "data"}}')" = "\"$secret\"" ]
}
