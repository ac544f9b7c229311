#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# libvirt.bats - VMs of a real libvirtd: it does not notice their updates, and all that it does with a VM works afterwards as before.

bats_require_minimum_version 1.5.0

load lib/common
load lib/network
load lib/libvirt

setup() {
	setup_vm_dir
	make_netns
	copy_for_libvirt
}
teardown() {
	# libvirtd first: it would take the VM's end for news.
	teardown_vm_dir
}

NO_SANDBOX='seccomp_sandbox = 0'

@test "libvirt: a domain whose emulator is the wrapper is updated by cprctl and by SIGUSR2; monitor, id, state, console and log go on" {
	local events id

	setup_libvirt lv "$NO_SANDBOX"
	# Probing goes through the wrapper.
	lv domcapabilities --emulatorbin "$VM_DIR/bin/qemu-system-x86_64" | grep -q "<path>/usr/bin/qemu-system-x86_64</path>\|<path>$VM_DIR/bin/"
	define_guest
	start_guest
	[ "$(stat -c %u "/proc/$VM_PID")" = 64055 ]
	id=$(lv domid guest)
	start_link events -- virsh --connect "$CONNECT" event --all --loop
	monitor_answers 7.2

	update_by_ctl --binary "$QEMU_NEW"
	monitor_answers 10.0
	console_goes_on
	use_qemu old
	update_vm
	monitor_answers 7.2
	console_goes_on
	[ "$(lv domid guest)" = "$id" ]
	[ "$(lv domstate guest --reason)" = "running (booted)" ]
	[ "$(grep -c 'update: updated' "$LV/log/libvirt/qemu/guest.log")" = 2 ]
	# Nothing that it was told of: it would have said so by now, as it does here.
	fails grep -a event "$VM_DIR/events.link"
	lv suspend guest
	wait_link 10 events "Suspended Paused"
	[ "$(lv domstate guest --reason)" = "paused (user)" ]
	update_by_ctl --binary "$QEMU_NEW"
	[ "$(lv domstate guest)" = paused ]
	lv resume guest
	wait_link 10 events "Resumed Unpaused"
	console_goes_on
	[ "$(grep -ac event "$VM_DIR/events.link")" = 2 ]
	lv destroy guest
}

disk_was_written() { [ "$(lv domblkstat guest vda | awk '/ wr_req / { print $3 }')" -gt 0 ]; }

@test "libvirt: what virsh does with a VM works after an update as before: disks, interfaces, memory, statistics, snapshots, shutdown" {
	setup_libvirt lv "$NO_SANDBOX"
	define_guest "<interface type='ethernet'><mac address='52:54:00:11:00:02'/><target dev='$TAP' managed='no'/><model type='virtio'/></interface>"
	start_guest
	update_by_ctl --binary "$QEMU_NEW"
	console_goes_on
	truncate -s 16M "$VM_DIR/second.img"
	lv attach-disk guest "$VM_DIR/second.img" vdb
	update_by_ctl --binary "$QEMU_OLD"
	lv domblkstat guest vdb
	lv detach-disk guest vdb
	wait_for 20 fails lv domblkstat guest vdb
	update_by_ctl --binary "$QEMU_NEW"
	ip -n "$NETNS" tuntap add dev tap1 mode tap
	echo "<interface type='ethernet'><mac address='52:54:00:11:00:03'/><target dev='tap1' managed='no'/><model type='virtio'/></interface>" >"$VM_DIR/nic.xml"
	lv attach-device guest "$VM_DIR/nic.xml"
	update_by_ctl --binary "$QEMU_OLD"
	lv domiflist guest | grep -q tap1
	lv domifstat guest tap1
	lv detach-device guest "$VM_DIR/nic.xml"
	lv setmem guest 350M --live
	update_by_ctl --binary "$QEMU_NEW"
	lv dommemstat guest
	# QEMU counts anew.
	wait_for 20 disk_was_written
	lv snapshot-create-as guest first
	console_goes_on
	update_by_ctl --binary "$QEMU_OLD"
	lv snapshot-list guest | grep -q first
	lv snapshot-revert guest first
	wait_link 20 console 'RAM ok '
	update_by_ctl --binary "$QEMU_NEW"
	lv snapshot-delete guest first
	lv reset guest
	lv destroy guest
}
