#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# backends.bats - devices of which the other half is in another process, across updates: a vhost-user disk.

bats_require_minimum_version 1.5.0

load lib/common
load lib/linuxguest

setup() {
	setup_vm_dir
	LINUX_APPEND=
}

teardown() { teardown_vm_dir; }

# start_storage PROGRAM [REQUESTS A SECOND] [CHARDEV OPTIONS]: exports $VM_DIR/disk; arguments for QEMU in VHOST_ARGS.
start_storage() {
	local node=disk0 throttle=()

	[ -e "$VM_DIR/disk" ] || qemu-img create -q -f raw "$VM_DIR/disk" 64M
	if [ -n "${2:-}" ]; then
		node=slow0
		throttle=(--object "throttle-group,id=group0,x-iops-total=$2"
			--blockdev "driver=throttle,node-name=slow0,throttle-group=group0,file=disk0")
	fi
	start_background "$VM_DIR/storage.log" "$1" \
		--blockdev "driver=file,filename=$VM_DIR/disk,node-name=disk0" "${throttle[@]}" \
		--export "type=vhost-user-blk,id=export0,addr.type=unix,addr.path=$VM_DIR/vhost.sock,node-name=$node,writable=on"
	STORAGE_PID=$!
	wait_for 5 test -S "$VM_DIR/vhost.sock"
	VHOST_ARGS=(-object "memory-backend-memfd,id=ram0,size=384M,share=on"
		-chardev "socket,id=vhost0,path=$VM_DIR/vhost.sock${3:-}" -device "vhost-user-blk-pci,id=disk0,chardev=vhost0")
}

boot_with_disk() {
	boot_linux -M q35,memory-backend=ram0 -accel tcg "${VHOST_ARGS[@]}"
	start_serial_client
	wait_serial 20 'DISK ok'
}

# The guest's disk ends here, and what it wrote is all there.
disk_was_whole() {
	[ "$(guest_status bad)" = 0 ]
	power_off
	serial_was_whole
	end_process "$STORAGE_PID"
	disk_is_whole "$VM_DIR/disk" raw
}

# refused PATTERN: for this reason alone.
refused() {
	fails update_by_ctl
	jq -e --arg pattern "$1" '.outcome == "refused" and (.reasons | length == 1) and (.reasons[0] | test($pattern))' \
		<<<"$UPDATE_RESULT"
}

# Sixty requests a second: at any time there is one that the back end has begun and not finished.
@test "vhost-user-blk: a disk being written is whole after updates, running and paused, with requests under way" {
	start_storage qemu-storage-daemon 60
	boot_with_disk
	local warnings
	warnings=$(guest_warnings)
	update_vm new
	disk_goes_on
	vm_ctl stop
	update_vm old
	vm_ctl cont
	disk_goes_on
	update_vm new
	disk_goes_on
	[ "$(guest_warnings)" = "$warnings" ]
	uptime_is_steady
	disk_was_whole
}

@test "vhost-user-blk: a failed update leaves the disk with the old QEMU, requests under way included" {
	start_storage qemu-storage-daemon 60
	export CPRSHIM_FAULT=load
	boot_with_disk
	fails update_vm new
	disk_goes_on
	fails update_vm new
	disk_goes_on
	vm_runs old
	disk_was_whole
}

@test "vhost-user-blk: refused where a new QEMU might find no back end" {
	cp "$(command -v qemu-storage-daemon)" "$VM_DIR/storage"
	start_storage "$VM_DIR/storage"
	boot_with_disk
	refused 'vhost.sock is not known to take another client .*reconnect=1'
	disk_goes_on
	stop_serial_client
	end_process "$VM_PID"
	end_process "$STORAGE_PID"

	# It does, and is said to.
	start_storage "$VM_DIR/storage" "" ,reconnect=1
	boot_with_disk
	mv "$VM_DIR/vhost.sock" "$VM_DIR/moved.sock"
	refused 'vhost.sock of a vhost-user back end is gone'
	mv "$VM_DIR/moved.sock" "$VM_DIR/vhost.sock"
	update_vm new
	disk_goes_on
	end_process "$STORAGE_PID"
	refused 'disk0 has lost its vhost-user back end'
	start_storage "$VM_DIR/storage" "" ,reconnect=1
	disk_goes_on
	update_vm old
	disk_goes_on
	disk_was_whole
}

@test "vhost-user-fs: refused by name" {
	mkdir "$VM_DIR/shared"
	start_background "$VM_DIR/virtiofsd.log" /usr/lib/qemu/virtiofsd --socket-path="$VM_DIR/fs.sock" \
		-o "source=$VM_DIR/shared,sandbox=chroot"
	wait_for 5 test -S "$VM_DIR/fs.sock"
	boot_guest -M q35,memory-backend=ram0 -object memory-backend-memfd,id=ram0,size=256M,share=on \
		-chardev "socket,id=fs0,path=$VM_DIR/fs.sock" -device vhost-user-fs-pci,chardev=fs0,tag=shared
	fails update_by_ctl
	jq -e '.reasons | any(test("^vhost-user-fs: the files that virtiofsd has open"))' <<<"$UPDATE_RESULT"
	guest_alive
}
