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
