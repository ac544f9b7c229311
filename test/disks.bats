# SPDX-License-Identifier: LGPL-2.1-or-later
# Disks and their back ends across updates: what is on them is whole, and what cannot be handed over is refused.

load lib/common
load lib/linuxguest

bats_require_minimum_version 1.5.0

setup() {
	setup_vm_dir
	LINUX_APPEND=
}

teardown() {
	teardown_vm_dir
}

# --- interrupts that QEMU loses ---

# Since 8.2 QEMU's "stop" may overtake an I/O thread that has finished a request and is about to tell the guest. Here
# the thread is always late, and a request always waits for its limit when the guest is stopped.
boot_with_late_interrupts() {
	SHIM=$SHIM:$CPRSHIM_BUILDDIR/test/programs/.libs/lateirq.so
	qemu-img create -q -f raw "$VM_DIR/disk" 64M
	use_qemu new
	boot_linux -M pc-q35-7.2 -accel tcg -name debug-threads=on -object iothread,id=io0 \
		-drive "file=$VM_DIR/disk,format=raw,if=none,id=disk0,cache=none,aio=native,throttling.iops-total=10" \
		-device virtio-blk-pci,drive=disk0,iothread=io0
	start_serial_client
	disk_goes_on
}

@test "an interrupt that QEMU 10.0 loses as it stops the guest: the guest gets it after the update" {
	boot_with_late_interrupts
	for _ in 1 2; do
		update_vm old
		update_vm new
	done
	disk_goes_on
	power_off
	serial_was_whole
}

@test "an interrupt that QEMU 10.0 loses as it stops the guest: the guest gets it after an update that failed" {
	export CPRSHIM_FAULT=save
	boot_with_late_interrupts
	for _ in 1 2 3; do
		run -1 update_vm old
		[[ $output == *'as asked for by CPRSHIM_FAULT'* ]]
	done
	disk_goes_on
	power_off
	serial_was_whole
}

# --- files that their paths do not lead to any more ---

qemu_io() {
	vm_ctl "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"qemu-io $1 \\\"$2\\\"\"}}"
}

# has_pattern DRIVE BYTE: its first 64 KiB are full of it
has_pattern() {
	[[ $(qemu_io "$1" "read -P $2 0 64k") != *[Ee]rror* && $(qemu_io "$1" "read -P $2 0 64k") != *failed* ]]
}

@test "an image renamed, its base and a CD deleted, namesakes put in their places: the guest keeps its own, there and back" {
	cd "$VM_DIR"
	qemu-img create -q -f qcow2 base.qcow2 64M
	qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 disk.qcow2
	head -c 64k /dev/zero | tr '\0' B >cd.iso
	boot_linux -M q35 -accel tcg -object iothread,id=io0 \
		-drive file=disk.qcow2,format=qcow2,if=none,id=disk0,cache=none,aio=native \
		-device virtio-blk-pci,drive=disk0,iothread=io0 \
		-blockdev "driver=raw,node-name=cd0,read-only=on,file.driver=file,file.filename=$VM_DIR/cd.iso" -device ide-cd,drive=cd0
	start_serial_client
	wait_serial 20 'DISK ok'
	mv disk.qcow2 mine.qcow2
	ln base.qcow2 kept.qcow2
	rm base.qcow2 cd.iso
	qemu-img create -q -f qcow2 disk.qcow2 64M
	head -c 64k /dev/zero | tr '\0' X >cd.iso
	cp disk.qcow2 foreign.qcow2

	update_vm new
	jq -e '.warnings | map(select(test("^disk.qcow2 is another file by now|^base.qcow2 was renamed or deleted"))) | length == 2' \
		<<<"$UPDATE_RESULT"
	disk_goes_on
	has_pattern cd0 0x42
	update_vm old
	disk_goes_on
	has_pattern cd0 0x42

	[ "$(guest_status bad)" = 0 ]
	power_off
	serial_was_whole
	cmp disk.qcow2 foreign.qcow2
	mv kept.qcow2 base.qcow2
	qemu-img check -q mine.qcow2
	disk_is_whole mine.qcow2 qcow2
}

@test "a deleted image: a failed update leads back to it; a paused guest's is there; two under one name are refused" {
	export CPRSHIM_FAULT=cont
	qemu-img create -q -f raw "$VM_DIR/disk" 16M
	boot_guest -M q35 -accel tcg -drive "file=$VM_DIR/disk,format=raw,if=virtio,id=disk0"
	rm "$VM_DIR/disk"
	[[ $(qemu_io disk0 'write -P 0x21 0 64k') != *rror* ]]
	run -1 update_vm new
	[[ $output == *'"outcome":"failed"'* ]]
	guest_alive
	has_pattern disk0 0x21
	vm_ctl stop
	run -1 update_vm new
	[[ $(qemu_io disk0 'write -P 0x22 0 64k') != *rror* ]]
	has_pattern disk0 0x22
	vm_ctl cont
	guest_alive
	qemu-img create -q -f raw "$VM_DIR/disk" 16M
	vm_ctl "{\"execute\": \"blockdev-add\", \"arguments\": {\"driver\": \"file\", \"node-name\": \"second\",
		\"filename\": \"$VM_DIR/disk\"}}"
	run -1 update_vm new
	[[ $output == *"/disk was opened again after it was renamed or deleted"* ]]
}

# --- locks ---

@test "an image that another process locks in the middle of an update: for a moment, and for longer" {
	local locker

	qemu-img create -q -f raw "$VM_DIR/disk" 16M
	boot_guest -M q35 -accel tcg -drive "file=$VM_DIR/disk,format=raw,if=virtio,id=disk0"
	start_background "$VM_DIR/short.log" "$TOOLS/locker.py" "$VM_DIR/disk" 0.5
	locker=$!
	wait_for 5 grep -q ready "$VM_DIR/short.log"
	update_vm new
	wait_for 5 is_gone "$locker"
	grep -q released "$VM_DIR/short.log"
	guest_alive

	start_background "$VM_DIR/long.log" "$TOOLS/locker.py" "$VM_DIR/disk" 5
	locker=$!
	wait_for 5 grep -q ready "$VM_DIR/long.log"
	run -1 update_vm old
	[[ $output == *'another process may have locked one'* ]]
	wait_for 20 guest_alive
	vm_runs new
	[[ $(qemu_io disk0 'write -P 0x21 0 64k') != *rror* ]]
}
