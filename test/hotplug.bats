#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# hotplug.bats - what was added, removed and set while the VM ran is so in the new QEMU too.

bats_require_minimum_version 1.5.0

load lib/common
load lib/linuxguest
load lib/network

setup() {
	setup_vm_dir
	LINUX_APPEND=
}
teardown() { teardown_vm_dir; }

# What QEMU says that it has, without what differs from one start to the next or from version to version.
inventory() {
	vm_ctl '{"execute": "qom-list", "arguments": {"path": "/machine/peripheral"}}' | jq -c 'map(.name) | sort'
	vm_ctl '{"execute": "qom-list", "arguments": {"path": "/objects"}}' | jq -c 'map(.name) | sort'
	vm_ctl query-chardev | jq -c 'map(.label) | sort'
	vm_ctl query-block | jq -c 'map({device, qdev: (.qdev | sub("^/machine/unattached/.*"; "unattached")),
		node: (.inserted."node-name" // "none" | sub("#.*"; "unnamed")), file: .inserted.file, iops: .inserted.iops,
		tray: .tray_open}) | sort'
	vm_ctl query-named-block-nodes | jq -c 'map(select(."node-name"[0:1] != "#") | {node: ."node-name", drv, ro, file}) | sort'
	vm_ctl query-memory-devices | jq -c .
	vm_ctl query-hotpluggable-cpus | jq -c 'map([.props, ."qom-path" != null])'
	vm_ctl query-pci | jq -c 'def devices: .[] | [.bus, .slot, .function, .qdev_id, .id.vendor, .id.device],
		(.pci_bridge.devices // [] | devices); [.[].devices | devices]'
	hmp "info usb"
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

# ran COMMAND: the Linux guest's shell has run it, well.
ran() {
	[ "$(ask "run $1" RAN)" = "RAN 0" ]
}

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

# eject SLOT: what a guest does that is asked for a device (docs/specs/acpi_pci_hotplug.txt).
eject() {
	hmp "o/w 0xae10 0"
	hmp "o/w 0xae08 $((1 << $1))"
}

@test "while devices come and go, and the memory of their ROMs is freed a little later: no RAM block is unknown" {
	local i

	boot_guest -M pc-i440fx-7.2
	# shellcheck disable=SC2016 # the inner shell expands it
	start_background "$VM_DIR/checks.json" env "CPRSHIM_RUNDIR=$VM_DIR/run" sh -c 'while :; do "$@"; done' checks "$CPRCTL" check --json "$VM_PID"
	for ((i = 0; i < 20; i++)); do
		do_qmp device_add '{driver: "virtio-net-pci", id: "nic1", addr: "0x10"}'
		do_qmp device_del '{id: "nic1"}'
		eject 16
		wait_for 5 has_no_device nic1
	done
	end_process "$!"
	[ "$(grep -c '"outcome"\|"ok"' "$VM_DIR/checks.json")" -ge 10 ]
	fails grep 'no mapping' "$VM_DIR/checks.json"
	updated_alike new
}

@test "a DIMM, a CPU, USB devices, a port of virtio-serial with its client, an iothread" {
	boot_guest -M pc-q35-7.2,accel=tcg -m 256,slots=4,maxmem=1G -smp 1,maxcpus=3 \
		-device qemu-xhci,id=usb -device virtio-serial-pci,id=serials \
		-object memory-backend-ram,id=cold,size=64M -device pc-dimm,memdev=cold,id=colddimm
	start_serial_client
	do_qmp object-add '{"qom-type": "memory-backend-ram", id: "warm", size: 134217728}'
	do_qmp device_add '{driver: "pc-dimm", memdev: "warm", id: "dimm1"}'
	do_qmp object-add '{"qom-type": "memory-backend-ram", id: "warm2", size: 67108864}'
	do_qmp device_add '{driver: "pc-dimm", memdev: "warm2", id: "dimm2", slot: 3}'
	do_qmp device_add '{driver: "qemu64-x86_64-cpu", id: "cpu2", "socket-id": 0, "core-id": 2, "thread-id": 0}'
	do_qmp device_add '{driver: "usb-tablet", id: "tablet1"}'
	do_qmp device_add '{driver: "usb-kbd", id: "keyboard"}'
	do_qmp device_del '{id: "tablet1"}'
	do_qmp object-add '{"qom-type": "iothread", id: "io1"}'
	do_qmp chardev-add "{id: \"port1\", backend: {type: \"socket\", data: {server: true,
		addr: {type: \"unix\", data: {path: \"$VM_DIR/port1.sock\"}}}}}"
	do_qmp device_add '{driver: "virtserialport", chardev: "port1", id: "port1", name: "org.example.1"}'
	start_link port1 "$VM_DIR/port1.sock"
	updated_alike new
	[ "$(vm_ctl query-cpus-fast | jq 'map(.props."core-id")' -c)" = '[0,2]' ]
	do_qmp device_add '{driver: "usb-tablet", id: "tablet2"}'
	# What goes and comes again is the second one.
	do_qmp device_del '{id: "keyboard"}'
	wait_for 5 has_no_device keyboard
	do_qmp device_del '{id: "port1"}'
	wait_for 5 has_no_device port1
	do_qmp chardev-remove '{id: "port1"}'
	do_qmp object-del '{id: "io1"}'
	updated_alike old
	do_qmp device_add '{driver: "usb-kbd", id: "keyboard", port: "4"}'
	do_qmp object-add '{"qom-type": "iothread", id: "io1", "poll-max-ns": 4711}'
	do_qmp chardev-add '{id: "port1", backend: {type: "null", data: {}}}'
	do_qmp device_add '{driver: "virtserialport", chardev: "port1", id: "port1", name: "org.example.2"}'
	updated_alike new
	updated_alike old
	[ "$(do_qmp qom-get '{path: "/objects/io1", property: "poll-max-ns"}')" = 4711 ]
	[ "$(do_qmp qom-get '{path: "/machine/peripheral/port1", property: "name"}')" = '"org.example.2"' ]
	stop_serial_client
}

@test "through the human monitor on a socket; a command that failed is not given again" {
	boot_guest -M pc -device virtio-scsi-pci,id=scsi0 -monitor "unix:$VM_DIR/hmp.sock,server=on,wait=off"
	start_serial_client
	start_link hmp "$VM_DIR/hmp.sock"
	wait_link 5 hmp '(qemu)'
	send_link hmp 'netdev_add user,id=net1\ndevice_add e1000,netdev=net1,id=nic1,mac=52:54:00:11:00:09\n'
	send_link hmp 'device_add e1000,netdev=net1,id=nic1,mac=52:54:00:66:66:66\n'
	send_link hmp 'object_add iothread,id=io1\nchardev-add null,id=late\ndrive_add 0 if=none,id=more,file=null-co://\n'
	send_link hmp 'device_add scsi-hd,drive=more,id=hd1\n'
	wait_for 5 has_device hd1
	run ! do_qmp device_add '{driver: "scsi-hd", drive: "more", id: "hd1", lun: 6}'
	updated_alike new
	send_link hmp 'set_link nic1 off\ndevice_del hd1\nchardev-remove late\n'
	wait_for 5 has_no_device hd1
	updated_alike old
	send_link hmp 'drive_add 0 if=none,id=more2,file=null-co://\ndevice_add scsi-hd,drive=more2,id=hd1,lun=2\nchardev-add null,id=late\n'
	wait_for 5 has_device hd1
	updated_alike new
	updated_alike old
	[ "$(do_qmp qom-get '{path: "/machine/peripheral/hd1", property: "lun"}')" = 2 ]
	hmp 'info network' | grep -F 'macaddr=52:54:00:11:00:09'
	stop_serial_client
}

@test "an unplug that the guest does not answer, devices without an id, and what others need are named" {
	boot_guest -M pc -device e1000,id=nic0,netdev=net0 -netdev user,id=net0
	start_serial_client
	do_qmp device_add '{driver: "virtio-rng-pci"}'
	do_qmp chardev-add '{id: "terminal", backend: {type: "pty", data: {}}}'
	do_qmp device_del '{id: "nic0"}'
	do_qmp netdev_del '{id: "net0"}'
	run ! update_by_ctl
	UPDATE_RESULT=$(update_history | jq -c last)
	jq -e '.reasons | length == 4 and any(test("^unplugging device nic0 is pending")) and
		any(test("^character device terminal is a pty")) and
		any(test("^unnamed device child<virtio-rng-pci> was added")) and any(test("^network net0 was removed, but it is there"))' \
		<<<"$UPDATE_RESULT"
	guest_alive
	stop_serial_client
}

@test "user networks that came and went" {
	use_qemu new
	boot_guest -M pc-i440fx-7.2 -netdev user,id=net0
	start_serial_client
	do_qmp netdev_add '{type: "user", id: "net1"}'
	do_qmp device_add '{driver: "e1000", netdev: "net1", id: "nic1"}'
	run ! update_vm old
	update_history | jq -e 'last | .reasons[0] | test("more than one user network")'
	do_qmp netdev_del '{id: "net0"}'
	# What is left is the second, by QEMU's count.
	updated_alike new
	updated_alike old
	stop_serial_client
}

@test "links, passwords, limits, properties and a balloon that were set" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -M pc -vnc "unix:$VM_DIR/vnc.sock,password=on" -device virtio-balloon-pci,id=balloon0 \
		-netdev user,id=net0 -device virtio-net-pci,netdev=net0,id=nic0 -netdev hubport,id=net1,hubid=1 -device e1000,netdev=net1,id=nic1 \
		-object throttle-group,id=group0,x-iops-total=100 \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=disk0" -device virtio-blk-pci,drive=disk0,id=blk0
	start_serial_client
	do_qmp set_link '{name: "nic0", up: false}'
	do_qmp set_link '{name: "nic1", up: false}'
	do_qmp set_link '{name: "nic1", up: true}'
	do_qmp set_password '{protocol: "vnc", password: "geheim"}'
	do_qmp block_set_io_throttle '{device: "disk0", bps: 0, bps_rd: 0, bps_wr: 0, iops: 77, iops_rd: 0, iops_wr: 0, iops_max: 99}'
	do_qmp qom-set '{path: "/machine/peripheral/balloon0", property: "guest-stats-polling-interval", value: 7}'
	do_qmp qom-set '{path: "/objects/group0", property: "limits", value: {"iops-total": 55}}'
	"$TOOLS/password.py" vnc "$VM_DIR/vnc.sock" geheim
	fails "$TOOLS/password.py" vnc "$VM_DIR/vnc.sock" falsch
	local version
	for version in new old; do
		updated_alike "$version"
		vm_ctl query-block | jq -e '.[0].inserted | .iops == 77 and .iops_max == 99'
		[ "$(do_qmp qom-get '{path: "/machine/peripheral/balloon0", property: "guest-stats-polling-interval"}')" = 7 ]
		[ "$(do_qmp qom-get '{path: "/objects/group0", property: "limits"}' | jq '."iops-total"')" = 55 ]
		hmp 'info virtio-status /machine/peripheral/nic0/virtio-backend' >"$VM_DIR/nic0.log"
		"$TOOLS/password.py" vnc "$VM_DIR/vnc.sock" geheim
		fails "$TOOLS/password.py" vnc "$VM_DIR/vnc.sock" falsch
		fails grep -r geheim "$VM_DIR/shim.log" <(ctl status --json "$VM_PID")
	done
	do_qmp block_set_io_throttle '{device: "disk0", bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0}'
	do_qmp set_link '{name: "nic0", up: true}'
	# What was set of an object that is gone is not set again.
	do_qmp object-add '{"qom-type": "iothread", id: "io1"}'
	do_qmp qom-set '{path: "/objects/io1", property: "poll-max-ns", value: 1000}'
	do_qmp object-del '{id: "io1"}'
	updated_alike new
	vm_ctl query-block | jq -e '.[0].inserted | .iops == 0'
	stop_serial_client
}

# What a network card shows its guest of its link (e1000, STATUS, "link up").
e1000_link_is_up() {
	local at

	at=$(vm_ctl query-pci | jq --arg id "$1" '.[].devices[] | select(.qdev_id == $id).regions[] | select(.bar == 0).address')
	(($(hmp "xp /1wx $((at + 8))" | grep -oE '0x[0-9a-f]{8}') & 2))
}

@test "a SPICE password that was set at run time" {
	boot_guest -M pc -spice "unix=on,addr=$VM_DIR/spice.sock"
	start_serial_client
	do_qmp set_password '{protocol: "spice", password: "geheim"}'
	local version
	for version in new new old; do
		"$TOOLS/password.py" spice "$VM_DIR/spice.sock" geheim
		fails "$TOOLS/password.py" spice "$VM_DIR/spice.sock" falsch
		updated_alike "$version"
	done
	"$TOOLS/password.py" spice "$VM_DIR/spice.sock" geheim
	fails "$TOOLS/password.py" spice "$VM_DIR/spice.sock" falsch
	fails grep -r geheim "$VM_DIR/shim.log" <(ctl status --json "$VM_PID")
	stop_serial_client
}

trace_state() {
	do_qmp trace-event-get-state '{name: "virtio_set_status"}' | jq -r '.[0].state'
}

resets() { grep -c '^CPU Reset' "$VM_DIR/trace.log" || true; }

# Each of what was set does what it is for, without a word of ours in between.
settings_hold() {
	fails e1000_link_is_up nic0
	e1000_link_is_up nic1
	fails "$TOOLS/password.py" vnc "$VM_DIR/vnc.sock" geheim
	[ "$(trace_state)" = enabled ]
	local before
	before=$(resets)
	do_qmp system_reset
	wait_for 5 eval '[ "$(resets)" -gt '"$before"' ]'
	guest_alive
}

@test "a link that is down, a password that has expired, trace events, the log, and what a watchdog does" {
	boot_guest -M pc -vnc "unix:$VM_DIR/vnc.sock,password=on" -D "$VM_DIR/trace.log" -device ib700 -monitor "unix:$VM_DIR/hmp.sock,server=on,wait=off" \
		-netdev user,id=net0 -device e1000,netdev=net0,id=nic0 -netdev hubport,id=net1,hubid=1 -device e1000,netdev=net1,id=nic1
	e1000_link_is_up nic0
	do_qmp set_link '{name: "nic0", up: false}'
	do_qmp set_password '{protocol: "vnc", password: "geheim"}'
	"$TOOLS/password.py" vnc "$VM_DIR/vnc.sock" geheim
	do_qmp expire_password '{protocol: "vnc", time: "+1"}'
	wait_for 10 fails "$TOOLS/password.py" vnc "$VM_DIR/vnc.sock" geheim
	do_qmp trace-event-set-state '{name: "virtio_*", enable: false}'
	do_qmp trace-event-set-state '{name: "virtio_set_status", enable: true}'
	do_qmp set-action '{watchdog: "reset", reboot: "reset"}'
	do_qmp watchdog-set-action '{action: "none"}'
	start_link hmp "$VM_DIR/hmp.sock"
	wait_link 5 hmp '(qemu)'
	send_link hmp 'log cpu_reset\nwatchdog_action pause\n'
	wait_link 5 hmp '(qemu)' 3
	do_qmp set-action '{panic: "none"}'
	settings_hold
	local version
	for version in new new old; do
		updated_alike "$version"
		settings_hold
	done
	do_qmp expire_password '{protocol: "vnc", time: "never"}'
	do_qmp set_link '{name: "nic0", up: true}'
	updated_alike new
	"$TOOLS/password.py" vnc "$VM_DIR/vnc.sock" geheim
	e1000_link_is_up nic0
	# It barks at once.
	hmp 'o /b 0x443 15'
	wait_for 5 is_in_state watchdog
}

is_in_state() { [ "$(vm_ctl query-status | jq -r .status)" = "$1" ]; }

@test "media that were changed and ejected, their first files gone" {
	local n
	for n in 1 2 3 4; do
		qemu-img create -q -f raw "$VM_DIR/cd$n.iso" ${n}M
	done
	boot_guest -M pc -cdrom "$VM_DIR/cd1.iso" -device virtio-scsi-pci \
		-drive "file=$VM_DIR/cd2.iso,if=none,id=cd2,media=cdrom,readonly=on,cache=none,format=raw" -device scsi-cd,drive=cd2,id=drive2 \
		-blockdev "{\"driver\": \"file\", \"filename\": \"$VM_DIR/cd3.iso\", \"node-name\": \"cd3\", \"read-only\": true}" \
		-device '{"driver": "scsi-cd", "drive": "cd3", "id": "drive3"}' -device scsi-cd,id=drive4
	start_serial_client
	do_qmp blockdev-change-medium "{device: \"ide1-cd0\", filename: \"$VM_DIR/cd4.iso\", format: \"raw\"}"
	do_qmp eject '{id: "drive2", force: true}'
	do_qmp blockdev-close-tray '{id: "drive2"}'
	do_qmp blockdev-open-tray '{id: "drive3", force: true}'
	do_qmp blockdev-remove-medium '{id: "drive3"}'
	do_qmp blockdev-del '{"node-name": "cd3"}'
	do_qmp blockdev-add "{driver: \"file\", \"node-name\": \"later\", filename: \"$VM_DIR/cd4.iso\", \"read-only\": true}"
	do_qmp blockdev-insert-medium '{id: "drive3", "node-name": "later"}'
	do_qmp blockdev-close-tray '{id: "drive3"}'
	rm "$VM_DIR/cd1.iso" "$VM_DIR/cd2.iso" "$VM_DIR/cd3.iso"
	updated_alike new
	do_qmp eject '{device: "ide1-cd0", force: true}'
	do_qmp blockdev-change-medium "{id: \"drive2\", filename: \"$VM_DIR/cd4.iso\", format: \"raw\"}"
	updated_alike old
	vm_ctl query-block | jq -e 'map(.inserted.file // "none" | sub(".*/"; "")) | sort == ["cd4.iso", "cd4.iso", "none", "none"]'
	updated_alike new
	stop_serial_client
}

# plugged_linux: a Linux guest in which the network card of the command line was replaced, and a disk was added.
plugged_linux() {
	make_netns
	LINUX_APPEND=
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 64M
	boot_linux -M pc-q35-7.2 -accel tcg -smp 1,maxcpus=2 -device pcie-root-port,id=port1,chassis=1 \
		-device pcie-root-port,id=port2,chassis=2 -device pcie-root-port,id=port3,chassis=3 -device pcie-root-port,id=port4,chassis=4 \
		-netdev "tap,id=net0,ifname=$TAP,script=no,downscript=no" -device virtio-net-pci,netdev=net0,id=nic0,bus=port1
	start_serial_client
	do_qmp device_del '{id: "nic0"}'
	wait_for 20 has_no_device nic0
	do_qmp netdev_del '{id: "net0"}'
	do_qmp netdev_add "{type: \"tap\", id: \"net1\", ifname: \"$TAP\", script: \"no\", downscript: \"no\"}"
	do_qmp device_add '{driver: "virtio-net-pci", netdev: "net1", id: "nic1", bus: "port2", mac: "52:54:00:11:00:02"}'
	ran "until ip link set eth0 up; do sleep 0.1; done; ip address add $GUEST_ADDRESS/24 dev eth0"
	do_qmp blockdev-add "{driver: \"qcow2\", \"node-name\": \"disk1\",
		file: {driver: \"file\", filename: \"$VM_DIR/disk.qcow2\"}}"
	do_qmp device_add '{driver: "virtio-blk-pci", drive: "disk1", id: "disk1", bus: "port1"}'
	wait_serial 20 'DISK ok'
	start_pinger --rate 200
}

balloon_has() { [ "$(do_qmp query-balloon | jq .actual)" = "$1" ]; }

nothing_was_lost() {
	no_ping_lost 100
	# A driver that leaves its card resets it.
	ran 'cd /sys/bus/virtio/drivers/virtio_net && for card in virtio*; do echo $card >unbind; done'
	[ "$(guest_status bad)" = 0 ]
	power_off
	serial_was_whole
	disk_is_whole "$VM_DIR/disk.qcow2" qcow2
	qemu-img check -q "$VM_DIR/disk.qcow2"
}

@test "Linux: a disk, a tap and a CPU are plugged in, a second disk comes, goes and comes again; updated between" {
	qemu-img create -q -f raw "$VM_DIR/other.raw" 8M
	plugged_linux
	do_qmp device_add '{driver: "qemu64-x86_64-cpu", id: "cpu1", "socket-id": 0, "core-id": 1, "thread-id": 0}'
	ran 'until echo 1 >/sys/devices/system/cpu/cpu1/online; do sleep 0.1; done'
	hmp "drive_add 0 if=none,id=other,format=raw,file=$VM_DIR/other.raw" | grep OK
	do_qmp device_add '{driver: "virtio-blk-pci", drive: "other", id: "disk2", bus: "port3"}'
	ran 'until [ -b /dev/vdb ]; do sleep 0.1; done; echo first >/dev/vdb; sync'
	updated_alike new
	disk_goes_on
	ran 'echo 3 >/proc/sys/vm/drop_caches; [ "$(head -n 1 /dev/vdb)" = first ]'
	do_qmp device_del '{id: "disk2"}'
	wait_for 20 has_no_device disk2
	# It is told what to leave the guest only once: the new QEMU must know.
	do_qmp device_add '{driver: "virtio-balloon-pci", id: "balloon1", bus: "port4"}'
	do_qmp balloon '{value: 314572800}'
	wait_for 30 balloon_has 314572800
	updated_alike old
	balloon_has 314572800
	ran '[ ! -b /dev/vdb ]'
	do_qmp blockdev-add "{driver: \"file\", filename: \"$VM_DIR/other.raw\", \"node-name\": \"other\"}"
	do_qmp device_add '{driver: "virtio-blk-pci", drive: "other", id: "disk2", bus: "port3"}'
	ran 'until [ -b /dev/vdb ]; do sleep 0.1; done'
	updated_alike new
	updated_alike old
	balloon_has 314572800
	do_qmp balloon '{value: 402653184}'
	wait_for 30 balloon_has 402653184
	ran '[ "$(head -n 1 /dev/vdb)" = first ] && grep -q "processor.*1" /proc/cpuinfo'
	disk_goes_on
	nothing_was_lost
}

# pass_tap ID BUS: as libvirt does it: the tap is passed in under a name, then a network is added by that.
pass_tap() {
	ip netns exec "$NETNS" "$TOOLS/tapfd.py" "$TAP" 30 -- "$TOOLS/getfd.py" "$VM_CTL" 30 "tapfd-$1" \
		"{\"execute\": \"netdev_add\", \"arguments\": {\"type\": \"tap\", \"id\": \"$1\", \"fd\": \"tapfd-$1\"}}" \
		"{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"virtio-net-pci\", \"netdev\": \"$1\", \"id\": \"nic-$1\",
			\"bus\": \"$2\", \"mac\": \"52:54:00:11:00:02\"}}"
	ran "until ip link set eth0 up; do sleep 0.1; done; ip address add $GUEST_ADDRESS/24 dev eth0"
}

@test "Linux: taps that a monitor's client passed in by getfd, plugged, unplugged and plugged again" {
	make_netns
	LINUX_APPEND=
	boot_linux -M pc-q35-7.2 -accel tcg -device pcie-root-port,id=port1,chassis=1 -device pcie-root-port,id=port2,chassis=2
	start_serial_client
	pass_tap net1 port1
	start_pinger --rate 200
	updated_alike new
	hmp 'info network' | grep 'type=tap,fd='
	updated_alike old
	no_ping_lost 100
	do_qmp device_del '{id: "nic-net1"}'
	wait_for 20 has_no_device nic-net1
	do_qmp netdev_del '{id: "net1"}'
	pass_tap net2 port2
	start_pinger --rate 200
	updated_alike new
	no_ping_lost 100
	stop_serial_client
}

@test "a new QEMU that lacks something of what was added is found out before the guest runs in it" {
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=replay
	boot_guest -M pc -device virtio-scsi-pci,id=scsi0
	start_serial_client
	do_qmp object-add '{"qom-type": "iothread", id: "io1"}'
	do_qmp blockdev-add '{driver: "null-co", "node-name": "null0"}'
	do_qmp device_add '{driver: "scsi-hd", drive: "null0", id: "hd1"}'
	inventory >"$VM_DIR/before"
	fails update_vm new
	jq -e '.outcome == "failed" and (.reasons[0] | test("device hd1 .*is not in the new QEMU"))' <<<"$UPDATE_RESULT"
	vm_runs old
	inventory >"$VM_DIR/after"
	diff "$VM_DIR/before" "$VM_DIR/after"
	stop_serial_client
}

@test "Linux: a disk and a tap were plugged in, and an update fails: both go on in the old QEMU" {
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=load
	plugged_linux
	inventory >"$VM_DIR/before"
	run ! update_vm new
	update_history | jq -e 'last | .outcome == "failed"'
	vm_runs old
	disk_goes_on
	inventory >"$VM_DIR/after"
	diff "$VM_DIR/before" "$VM_DIR/after"
	nothing_was_lost
}
