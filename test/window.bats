#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# window.bats - what others do to a VM while it is updated, and what an update must leave as it found it.
#
# Each of these lost a guest, its disk or its manager's settings once.

load lib/common

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

make_disk() { qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 64M; }

# window STAGE COMMAND [ARGUMENTS]: RESULT is the update's result, with COMMAND run when it comes to STAGE.
window() {
	RESULT=$("$TOOLS/window.py" "$VM_DIR/run/$VM_PID.sock" "$VM_QMP" "$@")
	echo "$RESULT"
}

outcome_is() { [ "$(jq -r .outcome <<<"$RESULT")" = "$1" ]; }
says() { jq -e --arg text "$1" '.reasons[] | select(contains($text))' <<<"$RESULT"; }
answered() { jq -e '.answer | has("return")' <<<"$RESULT"; }

@test "a device plugged between the check and the freeze is seen: refused, and the guest keeps it" {
	boot_guest -device virtio-scsi-pci
	window probe device_add '{"driver": "virtio-rng-pci", "id": "late"}'
	answered
	outcome_is refused
	says "late"
	guest_alive
	vm_ctl '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}' | grep -q '"late"'
}

@test "a snapshot taken between the check and the freeze is seen: the guest stays on its overlay" {
	make_disk
	boot_guest -drive "file=$VM_DIR/disk.qcow2,if=virtio,id=d0"
	window probe blockdev-snapshot-sync \
		"{\"device\": \"d0\", \"snapshot-file\": \"$VM_DIR/over.qcow2\"}"
	answered
	outcome_is refused
	guest_alive
	vm_ctl query-block | grep -q over.qcow2
}

@test "a guest that its user pauses between the check and the freeze is paused afterwards" {
	boot_guest
	window probe stop
	answered
	outcome_is updated
	[ "$(vm_state)" = paused ]
	vm_ctl cont
	guest_alive
}

@test "a paused guest with a disk is updated four times, and its images can be written meanwhile" {
	local i size=67108864

	make_disk
	boot_guest -drive "file=$VM_DIR/disk.qcow2,if=virtio,id=d0"
	vm_ctl stop
	for i in old new new old; do
		use_qemu $i
		update_vm
		[ "$(vm_state)" = paused ]
		size=$((size + 1048576))
		vm_ctl "{\"execute\": \"block_resize\", \"arguments\": {\"device\": \"d0\", \"size\": $size}}"
	done
	vm_ctl cont
	guest_alive
	vm_ctl quit
	wait_for 10 is_gone "$VM_PID"
	qemu-img check "$VM_DIR/disk.qcow2"
}

@test "cprctl update --paused tells monitors that the guest is stopped; a plain update tells nothing" {
	boot_guest
	start_qmp_client
	update_by_ctl
	update_by_ctl --paused
	[ "$(vm_state)" = paused ]
	vm_ctl cont
	guest_alive
	stop_qmp_client >"$VM_DIR/summary.json"
	# One stop and one continuation: those of the held update.
	jq -e '[.events[] | select(. == "STOP" or . == "RESUME")] == ["STOP", "RESUME"]' "$VM_DIR/summary.json"
}

@test "migration capabilities and parameters are what the manager set" {
	boot_guest
	vm_ctl '{"execute": "migrate-set-capabilities", "arguments": {"capabilities": [
		{"capability": "events", "state": true}, {"capability": "xbzrle", "state": true}]}}'
	vm_ctl '{"execute": "migrate-set-parameters", "arguments": {"downtime-limit": 1234, "announce-rounds": 2}}'
	for i in new old; do
		use_qemu $i
		update_vm
		[ "$(vm_ctl query-migrate-capabilities | jq -c '[.[] | select(.state) | .capability] | sort')" = \
			'["events","xbzrle"]' ]
		[ "$(vm_ctl query-migrate-parameters | jq -c '[."downtime-limit", ."announce-rounds"]')" = '[1234,2]' ]
	done
}

@test "a stranger who connects to whatever listens during an update is never answered" {
	local answered=$VM_DIR/answered

	: >"$answered"
	boot_guest
	start_qmp_client
	start_serial_client
	start_background "$VM_DIR/stranger.log" "$TOOLS/stranger.py" "$answered"
	for i in new old new; do
		use_qemu $i
		update_vm
	done
	guest_alive
	stop_serial_client
	stop_qmp_client
	[ "$(wc -l <"$VM_DIR/stranger.log")" -gt 0 ]
	[ ! -s "$answered" ]
}

@test "a VM that is told to quit in the middle of an update has ended, and is not called lost" {
	boot_guest
	window probe quit
	outcome_is ended
	says "told to quit"
	wait_for 10 is_gone "$VM_PID"
}
