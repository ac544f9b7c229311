#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# recover.bats - updates that fail: the guest goes on, on the old binary, and nobody who is connected to it notices.
#
# CPRSHIM_FAULT (loader/fault.h) makes each update of a VM fail at one place; test/programs/fakeqemu.c is a replacement that
# passes for a QEMU until it is the successor.

bats_require_minimum_version 1.5.0

load lib/common

# The method that rehearses, and has a way back. Others have tests of their own (relay.bats, transfer.bats).
export CPRSHIM_METHOD=exec

setup() { setup_vm_dir; }
teardown() {
	end_namespace
	teardown_vm_dir
}

MACHINE=pc-q35-7.2
# A successor that hangs is given up after this many seconds.
export CPRSHIM_TIMEOUT=2
FAKEQEMU=$CPRSHIM_BUILDDIR/test/programs/fakeqemu

in_state() {
	[ "$(vm_ctl query-status | jq -r .status)" = "$1" ]
}

# A VM with a disk, and two clients that check what they see.
begin() {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -M $MACHINE -drive "file=$VM_DIR/disk.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk "$@"
	# What is PID 1 of a test may be another after -daemonize.
	[ ! -s "$VM_DIR/pid" ] || VM_PID=$(cat "$VM_DIR/pid")
	start_serial_client --rate 100
	start_qmp_client
}

# The disk can be written: an image that was not taken back would end QEMU here.
write_disk() {
	WRITES=$((${WRITES:-0} + 1))
	do_qmp human-monitor-command "{\"command-line\": \"qemu-io disk \\\"write -P $WRITES 64k 64k\\\"\"}"
	vm_ctl query-status
}

# fails_with PATTERN [BINARY]: cprctl update comes back with 1 and a reason; the guest runs on the old binary.
fails_with() {
	local pid=$VM_PID before

	before=$(update_count)
	run -1 --separate-stderr ctl update --json --no-rehearse --binary "${2:-$QEMU_NEW}" "$VM_PID"
	UPDATE_RESULT=$output
	echo "update: $output $stderr" >&2
	jq -e --arg pattern "$1" '.ok == false and .outcome == "failed" and (.reasons | length == 1) and (.reasons[0] | test($pattern))' \
		<<<"$UPDATE_RESULT" >/dev/null
	[ "$VM_PID" = "$pid" ]
	vm_lives
	[ "$(update_count)" -eq $((before + 1)) ]
	[ "$(ctl status --json "$VM_PID" | jq -r '(.data // .).version')" = "$(jq -r .from.version <<<"$UPDATE_RESULT")" ]
}

# Running and paused, the guest comes through, and so do its clients and its disk.
survives() {
	fails_with "$1" "${2:-}"
	in_state running
	guest_alive
	write_disk
	vm_ctl stop
	local tick
	tick=$(last_tick)
	fails_with "$1" "${2:-}"
	in_state paused
	write_disk
	[ "$(last_tick)" -le $((tick + 1)) ]
	vm_ctl cont
	guest_alive
	finish
}

# The last words: clients saw nothing wrong, the disk is clean, and nothing of the updates is left.
finish() {
	stop_serial_client
	stop_qmp_client
	[ -z "$(children)" ]
	end_process "$VM_PID"
	qemu-img check -q "$VM_DIR/disk.qcow2"
	qemu-io -f qcow2 -c "read -P $WRITES 64k 64k" "$VM_DIR/disk.qcow2"
}

fault() {
	export CPRSHIM_FAULT=$1
	begin
	survives "$2"
}

# --- each place, running and paused ---

@test "the save fails" { fault save 'could not be saved'; }
@test "execve() fails" { fault exec 'could not be started: Bad file descriptor'; }
@test "the successor exits at its start" { fault start:exit 'called exit\(3\)'; }
@test "the successor aborts at its start" { fault start:abort 'called abort'; }
@test "the successor crashes at its start" { fault start:segv 'signal 11'; }
@test "the successor hangs at its start" { fault start:hang 'did not come up in time'; }
@test "the successor exits in its initialisation" { fault init:exit 'called exit\(3\)'; }
@test "the successor aborts in its initialisation" { fault init:abort 'called abort'; }
@test "the successor crashes in its initialisation" { fault init:segv 'signal 11'; }
@test "the successor hangs in its initialisation" { fault init:hang 'did not come up in time'; }
@test "RAM blocks do not match" { fault ram 'has no RAM block'; }
@test "the device state is cut off" { fault load 'called exit\(1\)|was not loaded'; }
@test "the guest cannot have its descriptors" { fault switch 'descriptors could not be switched'; }

# --- a real program that breaks ---

# make_fake [PATH OF THE REAL QEMU]
make_fake() {
	FAKE=$VM_DIR/fake/qemu-system-x86_64
	mkdir "$VM_DIR/fake"
	cp "$FAKEQEMU" "$FAKE"
	echo "${1:-$QEMU_NEW}" >"$VM_DIR/fake/real"
}

breaks_by() {
	echo "$1" >"$VM_DIR/fake/mode"
	fails_with "$2.*: fakeqemu: breaks by $1" "$FAKE"
	in_state "${3:-running}"
}

@test "successors that exit, return, crash, abort and hang, also in a second thread: all by one VM, and nothing is left" {
	begin
	make_fake
	breaks_by exit 'called exit\(4\)'
	local fds threads
	guest_alive
	fds=$(fd_count)
	threads=$(thread_count)
	breaks_by quick 'called _exit\(6\)'
	breaks_by return 'called exit\(0\)'
	breaks_by crash 'signal 11'
	breaks_by overflow 'signal 11'
	breaks_by abort 'called abort'
	breaks_by thread-crash 'signal 11'
	breaks_by thread-exit 'called exit\(5\)'
	breaks_by thread-abort 'called abort'
	breaks_by hang 'did not come up in time'
	guest_alive
	vm_ctl stop
	breaks_by crash 'signal 11' paused
	vm_ctl cont
	guest_alive
	write_disk
	wait_for 5 has_no_child
	has_no_more_than "$fds" "$threads"
	[ "$(update_count)" -eq 11 ]
	# The guest is as good as new: an update works.
	update_vm new
	guest_alive
	vm_runs new
	finish
}

@test "a successor that breaks under KVM" {
	if [ ! -w /dev/kvm ]; then
		skip "no /dev/kvm"
	fi
	begin -accel kvm
	make_fake
	breaks_by crash 'signal 11'
	guest_alive
	write_disk
	breaks_by exit 'called exit'
	guest_alive
	update_vm new
	guest_alive
	finish
}

@test "a daemonized VM" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	cd "$VM_DIR"
	# The process that is started ends by itself; its child is the VM.
	CPRSHIM_RUNDIR=$VM_DIR/run CPRSHIM_LOGFILE=$VM_DIR/shim.log LD_PRELOAD=$SHIM "$VM_DIR/qemu-system-x86_64" \
		-M $MACHINE -display none -vga none -nodefaults -m 256 -kernel "$GUEST" -daemonize -pidfile pid \
		-chardev "socket,id=serial0,path=$VM_SERIAL,server=on,wait=off" -serial chardev:serial0 \
		-qmp unix:qmp.sock,server=on,wait=off -qmp unix:ctl.sock,server=on,wait=off \
		-drive file=disk.qcow2,if=none,id=disk,format=qcow2 -device virtio-blk-pci,drive=disk 3>&- 4>&-
	VM_PID=$(cat pid)
	STARTED+=("$VM_PID")
	start_serial_client --rate 100
	start_qmp_client
	make_fake
	breaks_by exit 'called exit'
	breaks_by crash 'signal 11'
	[ "$(readlink "/proc/$VM_PID/cwd")" = / ]
	[ "$(cat pid)" = "$VM_PID" ]
	guest_alive
	write_disk
	update_vm new
	[ "$(readlink "/proc/$VM_PID/cwd")" = / ]
	guest_alive
	finish
}

# --- the process itself is lost: its guardian has the guest ---

# moves_on PATTERN [BINARY]: the process dies in an update, and the guest goes on in another, on the old binary.
moves_on() {
	local pid=$VM_PID before

	before=$(update_count)
	run -1 --separate-stderr ctl update --json --no-rehearse --binary "${2:-$QEMU_NEW}" "$VM_PID"
	UPDATE_RESULT=$output
	echo "update: $output $stderr" >&2
	jq -e --arg pattern "$1" '.ok == false and .outcome == "failed" and (.reasons[0] | test($pattern))' <<<"$UPDATE_RESULT"
	VM_PID=$(jq -r .pid <<<"$UPDATE_RESULT")
	STARTED+=("$VM_PID")
	[ "$VM_PID" != "$pid" ]
	is_gone "$pid"
	vm_lives
	vm_runs old
	[ "$(update_count)" -eq $((before + 1)) ]
	# cprctl finds it, and nothing of the old process id is left.
	ctl list --json | jq -e --argjson new "$VM_PID" --argjson old "$pid" 'map(.pid) | index($new) and (index($old) | not)'
	[ "$(find "$VM_DIR/run" -type s | wc -l)" = 1 ]
}

@test "SIGKILL at the successor's start and in its initialisation: the guest goes on under another process id" {
	export CPRSHIM_FAULT=start:kill
	begin -pidfile "$VM_DIR/pidfile"
	moves_on 'was killed'
	[ "$(cat "$VM_DIR/pidfile")" = "$VM_PID" ]
	guest_alive
	write_disk
	# That one has a guardian at its update, too.
	moves_on 'was killed'
	in_state running
	guest_alive
	write_disk
	vm_ctl stop
	moves_on 'was killed'
	in_state paused
	write_disk
	vm_ctl cont
	guest_alive
	finish
}

@test "a program that ends before main(), hangs there, or overflows another thread's stack" {
	export CPRSHIM_FAULT=
	begin
	make_fake
	local mode

	for mode in early-exit early-crash early-hang kill thread-overflow; do
		echo "$mode" >"$VM_DIR/fake/mode"
		if [ "$mode" = early-hang ]; then
			moves_on "did not come to the shim's code in time" "$FAKE"
		else
			moves_on 'was killed, or ended' "$FAKE"
		fi
		guest_alive
		write_disk
	done
	update_vm new
	guest_alive
	vm_runs new
	write_disk
	finish
}

# --- the package was upgraded under the VM ---

NAMESPACE_PID=

in_namespace() { nsenter -t "$NAMESPACE_PID" -m -- "$@"; }

end_namespace() {
	if [ -n "$NAMESPACE_PID" ]; then
		# Its mounts go with its last process.
		end_process "$NAMESPACE_PID"
	fi
}

# A mount namespace whose /usr can be changed without anyone else seeing it. What is changed lies in memory, since the
# test's directory may itself be on an overlay.
make_private_usr() {
	start_background "$VM_DIR/namespace.log" unshare -m --propagation private sh -c '
		mkdir "$1/usr" && mount -t tmpfs none "$1/usr" && mkdir "$1/usr/upper" "$1/usr/work" &&
			mount -t overlay none -o "lowerdir=/usr,upperdir=$1/usr/upper,workdir=$1/usr/work" /usr &&
			touch /usr/is-private && exec sleep 600' sh "$VM_DIR"
	NAMESPACE_PID=$!
	wait_for 5 in_namespace test -e /usr/is-private
	VM_WRAPPER=(nsenter -t "$NAMESPACE_PID" -m --)
}

libraries_of() {
	ldd "$1" | awk '$3 ~ /^\// { print $3 }' | sort
}

# As dpkg does it: 10.0's files in place of 7.2's, and what only 7.2 had is gone: modules, firmware, libraries.
upgrade_package() {
	local tree=${QEMU_NEW%/usr/bin/*} library

	in_namespace rm -r /usr/lib/x86_64-linux-gnu/qemu /usr/share/qemu /usr/share/seabios
	in_namespace cp -r "$tree/usr/lib/x86_64-linux-gnu/qemu" /usr/lib/x86_64-linux-gnu/qemu
	in_namespace cp -r "$tree/usr/share/qemu" "$tree/usr/share/seabios" /usr/share/
	in_namespace cp "$QEMU_NEW" "$QEMU_OLD.dpkg-new"
	in_namespace mv "$QEMU_OLD.dpkg-new" "$QEMU_OLD"
	comm -23 <(libraries_of "$QEMU_OLD") <(libraries_of "$QEMU_NEW") >"$VM_DIR/only-old"
	[ -s "$VM_DIR/only-old" ]
	while read -r library; do
		in_namespace rm "$(readlink -f "$library")"
	done <"$VM_DIR/only-old"
	# The old QEMU could not be started any more.
	if in_namespace "$(readlink -f "/proc/$VM_PID/exe")" -version | grep -q 'version 7'; then
		return 1
	fi
}

version_is() {
	ctl status --json "$VM_PID" | jq -e --arg version "$1" '(.data // .).version | startswith($version)'
}

@test "the package was upgraded under a TCG guest: back to the old binary with its own modules, libraries and ROMs" {
	make_private_usr
	begin -accel tcg -device virtio-vga -netdev user,id=net0 -device virtio-net-pci,netdev=net0
	version_is 7.2
	make_fake "$QEMU_OLD"
	breaks_by exit 'called exit'
	guest_alive
	upgrade_package
	# Twice: the way back works from what came back as well.
	breaks_by crash 'signal 11'
	version_is 7.2
	guest_alive
	write_disk
	breaks_by hang 'did not come up'
	version_is 7.2
	guest_alive
	fd_count >"$VM_DIR/fds"
	breaks_by abort 'called abort'
	[ "$(fd_count)" -le "$(cat "$VM_DIR/fds")" ]
	# And the new one is what an update leads to.
	run -0 ctl update --json "$VM_PID"
	echo "$output" >&2
	version_is 10.0
	guest_alive
	# Nothing of the old one's is kept beside the socket.
	[ -z "$(find "$VM_DIR/run" -name '*.files')" ]
	finish
}

# --- who dies meanwhile ---

@test "cprctl is killed in the middle of an update" {
	begin
	make_fake
	echo hang >"$VM_DIR/fake/mode"
	start_background "$VM_DIR/ctl.log" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --no-rehearse --binary "$FAKE" "$VM_PID"
	local cprctl=$!
	# Seen in the log of QEMU: the successor is there, the guest stands still.
	wait_for 10 runs_fake
	kill -KILL "$cprctl"
	wait_for 10 update_beyond 0
	[ "$(update_history | jq -r 'last | .outcome')" = failed ]
	guest_alive
	start_background "$VM_DIR/ctl.log" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --binary "$QEMU_NEW" "$VM_PID"
	kill -KILL $!
	guest_alive
	write_disk
	wait_for 5 ctl status "$VM_PID"
	update_vm old
	guest_alive
	finish
}

runs_fake() { [ "/proc/$VM_PID/exe" -ef "$FAKE" ]; }

@test "the VM and its guardian are killed in the middle of an update: cprctl says that the guest is lost, and ends with 3" {
	boot_guest -M $MACHINE
	make_fake
	echo hang >"$VM_DIR/fake/mode"
	start_background "$VM_DIR/ctl.log" sh -c '"$@"; echo "exit status $?"' sh \
		env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --no-rehearse --binary "$FAKE" "$VM_PID"
	local cprctl=$!
	wait_for 10 runs_fake
	# shellcheck disable=SC2046 # the guardian is one of them
	kill -KILL $(children) "$VM_PID"
	wait_for 10 is_gone "$cprctl"
	grep -q 'the guest is lost' "$VM_DIR/ctl.log"
	grep -qx 'exit status 3' "$VM_DIR/ctl.log"
}
