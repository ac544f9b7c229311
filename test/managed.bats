#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# managed.bats - a VM with all that a manager gives one at once: the command line is libvirt's, but for the names.

bats_require_minimum_version 1.5.0

load lib/common
load lib/network
load lib/linuxguest

setup() {
	setup_vm_dir
	LINUX_APPEND=
}
teardown() { teardown_vm_dir; }

@test "a command line of libvirt's: block graph, I/O thread, two queues, TPM, agent, pty, VNC, sound, balloon, random numbers, sandbox" {
	make_netns multi_queue
	mkdir "$VM_DIR/tpm"
	start_background "$VM_DIR/swtpm.log" swtpm socket --tpm2 --tpmstate "dir=$VM_DIR/tpm" \
		--ctrl "type=unixio,path=$VM_DIR/tpm.sock" --terminate
	wait_for 5 test -S "$VM_DIR/tpm.sock"
	qemu-img create -q -f qcow2 "$VM_DIR/base.qcow2" 64M
	qemu-img create -q -f qcow2 -b "$VM_DIR/base.qcow2" -F qcow2 "$VM_DIR/disk.qcow2"
	boot_linux -M pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=ram0 -accel tcg -cpu qemu64 -smp 2,sockets=2,cores=1,threads=1 -m size=393216k \
		-object '{"qom-type":"memory-backend-memfd","id":"ram0","size":402653184}' \
		-overcommit mem-lock=off -uuid 6a4a47aa-9ee2-4e1a-8d8c-1f8f9df0f6d1 -name guest=big,debug-threads=on \
		-rtc base=utc,driftfix=slew -no-shutdown -boot strict=on \
		-device '{"driver":"pcie-root-port","port":16,"chassis":1,"id":"pci.1","bus":"pcie.0","multifunction":true,"addr":"0x2"}' \
		-device '{"driver":"pcie-root-port","port":17,"chassis":2,"id":"pci.2","bus":"pcie.0","addr":"0x2.0x1"}' \
		-device '{"driver":"pcie-root-port","port":18,"chassis":3,"id":"pci.3","bus":"pcie.0","addr":"0x2.0x2"}' \
		-device '{"driver":"pcie-root-port","port":19,"chassis":4,"id":"pci.4","bus":"pcie.0","addr":"0x2.0x3"}' \
		-device '{"driver":"qemu-xhci","p2":15,"p3":15,"id":"usb","bus":"pci.2","addr":"0x0"}' \
		-device '{"driver":"virtio-serial-pci","id":"virtio-serial0","bus":"pci.3","addr":"0x0"}' \
		-object '{"qom-type":"iothread","id":"iothread1"}' \
		-blockdev "{\"driver\":\"file\",\"filename\":\"$VM_DIR/base.qcow2\",\"node-name\":\"libvirt-2-storage\",\"auto-read-only\":true,\"discard\":\"unmap\"}" \
		-blockdev '{"node-name":"libvirt-2-format","read-only":true,"driver":"qcow2","file":"libvirt-2-storage","backing":null}' \
		-blockdev "{\"driver\":\"file\",\"filename\":\"$VM_DIR/disk.qcow2\",\"aio\":\"native\",\"node-name\":\"libvirt-1-storage\",\"cache\":{\"direct\":true,\"no-flush\":false},\"auto-read-only\":true,\"discard\":\"unmap\"}" \
		-blockdev '{"node-name":"libvirt-1-format","read-only":false,"cache":{"direct":true,"no-flush":false},"driver":"qcow2","file":"libvirt-1-storage","backing":"libvirt-2-format"}' \
		-device '{"driver":"virtio-blk-pci","bus":"pci.1","addr":"0x0","drive":"libvirt-1-format","id":"virtio-disk0","write-cache":"on"}' \
		-netdev "tap,ifname=$TAP,script=no,downscript=no,queues=2,id=hostnet0" \
		-device '{"driver":"virtio-net-pci","mq":true,"vectors":6,"netdev":"hostnet0","id":"net0","mac":"52:54:00:11:00:02","bus":"pci.4","addr":"0x0"}' \
		-chardev "socket,id=charchannel0,path=$VM_DIR/agent.sock,server=on,wait=off" \
		-device '{"driver":"virtserialport","bus":"virtio-serial0.0","nr":1,"chardev":"charchannel0","id":"channel0","name":"org.qemu.guest_agent.0"}' \
		-chardev "socket,id=chrtpm,path=$VM_DIR/tpm.sock" -tpmdev emulator,id=tpm-tpm0,chardev=chrtpm \
		-device '{"driver":"tpm-crb","tpmdev":"tpm-tpm0","id":"tpm0"}' \
		-chardev pty,id=charserial1 -device '{"driver":"isa-serial","chardev":"charserial1","id":"serial1","index":1}' \
		-device '{"driver":"usb-tablet","id":"input0","bus":"usb.0","port":"1"}' \
		-audiodev '{"id":"audio1","driver":"none"}' -vnc "unix:$VM_DIR/vnc.sock,audiodev=audio1" \
		-device '{"driver":"virtio-vga","id":"video0","max_outputs":1,"bus":"pcie.0","addr":"0x1"}' \
		-device '{"driver":"ich9-intel-hda","id":"sound0","bus":"pcie.0","addr":"0x1b"}' -device '{"driver":"hda-duplex","id":"sound0-codec0","bus":"sound0.0","cad":0,"audiodev":"audio1"}' \
		-device '{"driver":"virtio-balloon-pci","id":"balloon0","bus":"pcie.0","addr":"0x5"}' \
		-object '{"qom-type":"rng-random","id":"objrng0","filename":"/dev/urandom"}' -device '{"driver":"virtio-rng-pci","rng":"objrng0","id":"rng0","bus":"pcie.0","addr":"0x6"}' \
		-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=allow,resourcecontrol=allow -msg timestamp=on
	start_serial_client
	wait_serial 20 'DISK ok'
	start_pinger --rate 200
	local to
	for to in new old new old; do
		update_vm "$to" 60
		disk_goes_on
	done
	let_guest_work 1
	no_ping_lost 100
	[ "$(guest_status bad)" = 0 ]
	uptime_is_steady
	power_off_held
	serial_was_whole
	qemu-img check -q "$VM_DIR/disk.qcow2"
	disk_is_whole "$VM_DIR/disk.qcow2" qcow2
}

# With -no-shutdown QEMU stays when the guest has powered itself off.
power_off_held() {
	send_serial poweroff
	wait_for 20 vm_is_off
	vm_ctl quit
	wait_for 10 is_gone "$VM_PID"
}

vm_is_off() { [ "$(vm_state)" = shutdown ]; }
