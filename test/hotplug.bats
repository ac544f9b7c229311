#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# hotplug.bats - what was added, removed and set while the VM ran is so in the new QEMU too.

bats_require_minimum_version 1.5.0

load lib/common

setup() {
	setup_vm_dir
	LINUX_APPEND=
}
teardown() { teardown_vm_dir; }

# do_qmp COMMAND [ARGUMENTS, AS JQ WRITES THEM]
do_qmp() {
	vm_ctl "$(jq -nc --arg name "$1" "{execute: \$name, arguments: ${2:-{\}}}")"
}

hmp() {
	do_qmp human-monitor-command "{\"command-line\": \"$1\"}" | jq -r .
}

# What QEMU says that it has, without what differs from one start to the next or from version to version.
inventory() {
	vm_ctl '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}' | jq -c 'map(.name) | sort'
	vm_ctl '{"execute": "qom-list", "arguments": {"path": "/objects"}}' | jq -c 'map(.name) | sort'
	vm_ctl query-chardev | jq -c 'map(.label) | sort'
	vm_ctl query-block | jq -c 'map({device, qdev, node: .inserted."node-name", file: .inserted.file, iops: .inserted.iops,
		tray: .tray_open}) | sort'
	vm_ctl query-named-block-nodes | jq -c 'map(select(."node-name"[0:1] != "#") | {node: ."node-name", drv, ro, file}) | sort'
	vm_ctl query-memory-devices | jq -c .
	vm_ctl query-hotpluggable-cpus | jq -c 'map([.props, ."qom-path" != null])'
	vm_ctl query-pci | jq -c 'def devices: .[] | [.bus, .slot, .function, .qdev_id, .id.vendor, .id.device],
		(.pci_bridge.devices // [] | devices); [.[].devices | devices]'
	hmp "info network" | sed 's/,model=.*macaddr/ macaddr/'
}

# updated_alike old|new: an update after which QEMU has the same as before.
updated_alike() {
	inventory >"$VM_DIR/before"
	update_vm "$1"
	guest_alive
	inventory >"$VM_DIR/after"
	diff "$VM_DIR/before" "$VM_DIR/after"
	[ "$(jq -c '.warnings // []' <<<"$UPDATE_RESULT")" = '[]' ]
}

has_device() {
	do_qmp qom-list '{path: "/machine/peripheral"}' | jq -e --arg id "$1" 'any(.name == $id)' >/dev/null
}
has_no_device() { ! has_device "$1"; }

@test "a disk and a network card are added, removed, added again; updated twice" {
	qemu-img create -q -f qcow2 "$VM_DIR/first.qcow2" 16M
	qemu-img create -q -f qcow2 "$VM_DIR/second.qcow2" 32M
	boot_guest -M pc-i440fx-7.2 -device virtio-scsi-pci,id=scsi0 \
		-blockdev "{\"driver\": \"file\", \"filename\": \"$VM_DIR/first.qcow2\", \"node-name\": \"disk1-file\"}" \
		-blockdev '{"driver": "qcow2", "file": "disk1-file", "node-name": "disk1"}' \
		-device scsi-hd,drive=disk1,id=hd1,bus=scsi0.0
	start_serial_client
	start_qmp_client
	do_qmp blockdev-add "{driver: \"qcow2\", \"node-name\": \"disk2\",
		file: {driver: \"file\", filename: \"$VM_DIR/second.qcow2\"}}"
	do_qmp device_add '{driver: "scsi-hd", drive: "disk2", id: "hd2"}'
	do_qmp netdev_add '{type: "user", id: "net1"}'
	do_qmp device_add '{driver: "virtio-net-pci", netdev: "net1", id: "nic1"}'
	updated_alike new
	# What the command line made goes, what was added goes and comes back at another place.
	do_qmp device_del '{id: "hd1"}'
	wait_for 5 has_no_device hd1
	do_qmp blockdev-del '{"node-name": "disk1"}'
	do_qmp blockdev-del '{"node-name": "disk1-file"}'
	do_qmp device_del '{id: "hd2"}'
	wait_for 5 has_no_device hd2
	updated_alike old
	do_qmp device_add '{driver: "scsi-hd", drive: "disk2", id: "hd2", lun: 3}'
	do_qmp blockdev-add "{driver: \"qcow2\", \"node-name\": \"disk1\",
		file: {driver: \"file\", filename: \"$VM_DIR/first.qcow2\"}}"
	do_qmp device_add '{driver: "scsi-hd", drive: "disk1", id: "hd1", serial: "again"}'
	updated_alike new
	[ "$(do_qmp qom-get '{path: "/machine/peripheral/hd1", property: "serial"}')" = '"again"' ]
	updated_alike old
	stop_serial_client
	stop_qmp_client
}
