#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# shims.bats - another libcprshim.so in the new program than in the old one: newer and understood, or not understood; put in
# the place of the one on disk; and two of them in one program.
#
# test/programs/othershim.c makes them: a newer one that takes our states and writes such as have a record that we do not
# know, and one that takes none of ours.

bats_require_minimum_version 1.5.0

load lib/common

# The method that rehearses, and has a way back. Others have tests of their own (relay.bats, transfer.bats).
export CPRSHIM_METHOD=exec

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

MACHINE=pc-q35-7.2
NEWER=$CPRSHIM_BUILDDIR/test/programs/.libs/newershim.so
STRANGE=$CPRSHIM_BUILDDIR/test/programs/.libs/strangeshim.so

begin() {
	boot_guest -M $MACHINE
	start_serial_client --rate 100
	start_qmp_client
}

finish() {
	guest_alive
	stop_serial_client
	stop_qmp_client
}

# runs_shim LIBRARY: that one, and none of the others
runs_shim() {
	[ "$(grep -oE "[^ ]*/(newershim|strangeshim|libcprshim).so" "/proc/$VM_PID/maps" | sort -u)" = "$1" ]
}

# goes_back PATTERN [OPTIONS OF update]: the update fails after the exec, and the old library has the guest again.
goes_back() {
	fails update_by_ctl --no-rehearse "${@:2}"
	jq -e --arg pattern "$1" '.outcome == "failed" and (.reasons[0] | test($pattern))' <<<"$UPDATE_RESULT"
	guest_alive
}

@test "a newer libcprshim.so that understands the state: to it, onwards with it, back to the older one, and failures lead back" {
	begin
	goes_back 'called exit|was not loaded' --command env CPRSHIM_FAULT=load "LD_PRELOAD=$NEWER" "$QEMU_NEW"
	runs_shim "$SHIM"
	update_by_ctl --command env "LD_PRELOAD=$NEWER" "$QEMU_NEW"
	[ "$(vm_version)" = 10.0 ]
	runs_shim "$NEWER"
	guest_alive
	# It is the one that is given to the next, unless a command says otherwise.
	update_vm old
	[ "$(vm_version)" = 7.2 ]
	runs_shim "$NEWER"
	goes_back 'called exit|was not loaded' --command env CPRSHIM_FAULT=load "LD_PRELOAD=$SHIM" "$QEMU_NEW"
	runs_shim "$NEWER"
	goes_back 'signal 11' --command env CPRSHIM_FAULT=init:segv "$QEMU_NEW"
	runs_shim "$NEWER"
	# A state with a record that the older one does not know.
	update_by_ctl --command env "LD_PRELOAD=$SHIM" "$QEMU_NEW"
	runs_shim "$SHIM"
	guest_alive
	update_vm old
	runs_shim "$SHIM"
	finish
}

@test "one that does not understand the state is refused by name while the guest runs, whether rehearsed or not" {
	local rehearse

	begin
	run -1 ctl check --json "$VM_PID" --command env "LD_PRELOAD=$STRANGE" "$QEMU_NEW"
	jq -e '[(.data // .).blockers[].code] == ["library-version"]' <<<"$output"
	for rehearse in --no-rehearse ''; do
		fails update_by_ctl $rehearse --command env "LD_PRELOAD=$STRANGE" "$QEMU_NEW"
		jq -e --arg path "$STRANGE" '.outcome == "refused" and (.reasons | length == 1) and
			(.reasons[0] | contains($path) and test("does not understand"))' <<<"$UPDATE_RESULT"
		runs_shim "$SHIM"
		guest_alive
	done
	update_vm new
	finish
}

@test "one that shows itself only when it is given a state: the rehearsal finds it; without, the guardian has the guest" {
	local script=$VM_DIR/replacement pid

	printf '#!/bin/sh\n[ -z "$CPRSHIM_STATE" ] || export LD_PRELOAD=%s\nexec "%s" "$@"\n' "$STRANGE" "$QEMU_NEW" >"$script"
	chmod 755 "$script"
	begin
	pid=$VM_PID
	fails update_by_ctl --binary "$script"
	jq -e '.outcome == "refused" and (.reasons[0] | test("rehearsed: .*CPR state .* is not understood.*version"))' \
		<<<"$UPDATE_RESULT"
	guest_alive
	goes_back 'was killed, or ended' --binary "$script"
	VM_PID=$(jq -r .pid <<<"$UPDATE_RESULT")
	STARTED+=("$VM_PID")
	[ "$VM_PID" != "$pid" ]
	grep -q 'CPR state .* is not understood' "$VM_LOG"
	runs_shim "$SHIM"
	update_vm new
	finish
}

@test "the library is replaced on disk, by one that does not understand the state and by no library: its own is what goes on" {
	cp "$SHIM" "$VM_DIR/libcprshim.so"
	SHIM=$VM_DIR/libcprshim.so begin
	cp "$STRANGE" "$VM_DIR/next"
	mv "$VM_DIR/next" "$VM_DIR/libcprshim.so"
	update_vm new
	guest_alive
	goes_back 'called exit|was not loaded' --command env CPRSHIM_FAULT=load "$QEMU_OLD"
	echo "no library" >"$VM_DIR/next"
	mv "$VM_DIR/next" "$VM_DIR/libcprshim.so"
	update_vm old
	guest_alive
	rm "$VM_DIR/libcprshim.so"
	update_vm new
	runs_shim "$VM_DIR/libcprshim.so"
	finish
}

# As after an upgrade of the one in /etc/ld.so.preload: a successor has its predecessor's, too.
@test "two in one program: the first has the VM, the other stands aside; children see no trace of either" {
	local preload

	for preload in "$SHIM:$STRANGE" "$STRANGE:$SHIM"; do
		SHIM=$preload begin
		grep -qF "$STRANGE" "/proc/$VM_PID/maps"
		update_vm new
		[ "$(vm_version)" = 10.0 ]
		guest_alive
		goes_back 'called exit|was not loaded' --command env CPRSHIM_FAULT=load "$QEMU_OLD"
		update_vm old
		guest_alive
		finish
		# QEMU gives its children its own environment.
		vm_ctl "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"exec:env >'$VM_DIR/environment'; cat >/dev/null\"}}"
		wait_for 20 grep -q '^CPRSHIM_RUNDIR=' "$VM_DIR/environment"
		fails grep -E '^CPRSHIM_ACTIVE=|^LD_PRELOAD=.*libcprshim' "$VM_DIR/environment"
		end_process "$VM_PID"
		rm -f "$VM_DIR"/*.sock "$VM_DIR/environment"
	done
}
