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
	local rc=0

	teardown_vm_dir || rc=$?
	if [ -n "${LOOP:-}" ]; then
		losetup --detach "$LOOP"
	fi
	return "$rc"
}

# --- interrupts that QEMU loses ---

# Since 8.2 QEMU's "stop" may overtake an I/O thread that has finished a request and is about to tell the guest. Here
# the thread is always late, and a request always waits for its limit when the guest is stopped. boot_with_late_interrupts new|11
boot_with_late_interrupts() {
	SHIM=$SHIM:$CPRSHIM_BUILDDIR/test/programs/.libs/lateirq.so
	qemu-img create -q -f raw "$VM_DIR/disk" 64M
	use_qemu "$1"
	boot_linux -M pc-q35-7.2 -accel tcg -name debug-threads=on -object iothread,id=io0 \
		-drive "file=$VM_DIR/disk,format=raw,if=none,id=disk0,cache=none,aio=native,throttling.iops-total=10" \
		-device virtio-blk-pci,drive=disk0,iothread=io0
	start_serial_client
	disk_goes_on
}

@test "an interrupt that QEMU 10.0 loses as it stops the guest: the guest gets it after the update" {
	boot_with_late_interrupts new
	for _ in 1 2; do
		update_vm old
		update_vm new
	done
	disk_goes_on
	power_off
	serial_was_whole
}

@test "an interrupt that QEMU 11.1 loses as it stops the guest: the guest gets it after the update" {
	boot_with_late_interrupts 11
	for _ in 1 2; do
		update_vm old
		update_vm 11
	done
	disk_goes_on
	power_off
	serial_was_whole
}

@test "an interrupt that QEMU 10.0 loses as it stops the guest: the guest gets it after an update that failed" {
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=save
	boot_with_late_interrupts new
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
	local said

	said=$(qemu_io "$1" "read -P $2 0 64k")
	[[ $said != *rror* && $said != *failed* ]]
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
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=cont
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

# --- back ends ---

# start_nbd NAME FILE [OPTIONS]: one client at a time, as qemu-nbd does where nothing else is asked for
start_nbd() {
	start_background "$VM_DIR/nbd.log" qemu-nbd --persistent -f raw -k "$VM_DIR/$1.sock" "${@:3}" "$2"
	NBD_PID=$!
	wait_for 5 test -S "$VM_DIR/$1.sock"
}

@test "an NBD server that lets one client in at a time: the guest writes, there and back" {
	qemu-img create -q -f raw "$VM_DIR/exported" 64M
	start_nbd nbd "$VM_DIR/exported"
	boot_linux -M q35 -accel tcg -drive "if=none,id=disk0,driver=raw,file.driver=nbd,file.server.type=unix,file.server.path=$VM_DIR/nbd.sock,file.reconnect-delay=5" \
		-device virtio-blk-pci,drive=disk0
	start_serial_client
	wait_serial 20 'DISK ok'
	update_vm new
	disk_goes_on
	update_vm old
	disk_goes_on
	[ "$(guest_status bad)" = 0 ]
	power_off
	serial_was_whole
	end_process "$NBD_PID"
	disk_is_whole "$VM_DIR/exported" raw
}

@test "nbdkit, over TCP: the guest writes, there and back, and after an update that fails" {
	local port
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=load@2
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	qemu-img create -q -f raw "$VM_DIR/exported" 64M
	start_background "$VM_DIR/nbd.log" nbdkit --foreground --exit-with-parent -i 127.0.0.1 -p "$port" -P "$VM_DIR/nbdkit.pid" \
		file "$VM_DIR/exported"
	NBD_PID=$!
	wait_for 5 test -s "$VM_DIR/nbdkit.pid"
	boot_linux -M q35 -accel tcg -drive "file=nbd://127.0.0.1:$port,format=raw,if=none,id=disk0" -device virtio-blk-pci,drive=disk0
	start_serial_client
	wait_serial 20 'DISK ok'
	update_vm new
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	disk_goes_on
	update_vm old
	disk_goes_on
	fails update_by_ctl --method exec --no-rehearse --binary "$QEMU_NEW"
	jq -e '.outcome == "failed"' <<<"$UPDATE_RESULT"
	vm_runs old
	disk_goes_on
	[ "$(guest_status bad)" = 0 ]
	power_off
	serial_was_whole
	end_process "$NBD_PID"
	disk_is_whole "$VM_DIR/exported" raw
}

@test "an NBD server that would end with its client: refused, but where the new QEMU is its client before" {
	qemu-img create -q -f raw "$VM_DIR/exported" 4M
	start_background "$VM_DIR/nbd.log" qemu-nbd -f raw -k "$VM_DIR/nbd.sock" "$VM_DIR/exported"
	wait_for 5 test -S "$VM_DIR/nbd.sock"
	boot_guest -M pc-q35-7.2 -accel tcg -drive "file=nbd+unix:///?socket=$VM_DIR/nbd.sock,format=raw,if=virtio,id=nbd0"
	run -1 update_vm new
	[[ $output == *"qemu-nbd that ends with its client: start qemu-nbd with --persistent"* ]]
	[[ $(qemu_io nbd0 'write -P 1 0 64k') != *rror* ]]
	guest_alive
	end_process "$VM_PID"

	use_qemu old
	start_background "$VM_DIR/nbd.log" qemu-nbd --shared=2 -f raw -k "$VM_DIR/nbd.sock" "$VM_DIR/exported"
	wait_for 5 test -S "$VM_DIR/nbd.sock"
	boot_guest -M pc-q35-7.2 -accel tcg -drive "file=nbd+unix:///?socket=$VM_DIR/nbd.sock,format=raw,if=virtio,id=nbd0"
	update_vm new
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	drives_hold 1 nbd0
	update_vm old
	drives_hold 2 nbd0
}

# in_the_middle COMMAND: a replacement in which that happens to the VM's surroundings between the old QEMU and the new.
in_the_middle() {
	cat >"$VM_DIR/command" <<-END
		#!/bin/sh
		[ -z "\$CPRSHIM_STATE" ] || { $1; }
		exec $QEMU_NEW "\$@"
	END
	chmod +x "$VM_DIR/command"
}

# fails_in_the_middle: an update to it.
fails_in_the_middle() {
	local rc=0

	update_by_ctl --method exec --no-rehearse --binary "$VM_DIR/command" || rc=$?
	[ "$rc" = 1 ]
	jq -e '.outcome == "failed"' <<<"$UPDATE_RESULT"
	vm_runs old
}

nbd_is_waited_for() { grep -q 'NBD server of a disk does not serve it' "$VM_DIR/shim.log"; }

# start_exports: qemu-storage-daemon serves the exports "first" and "second", at one address; its monitor is NBD_CTL.
start_exports() {
	NBD_CTL=$VM_DIR/storage.ctl
	start_background "$VM_DIR/nbd.log" qemu-storage-daemon \
		--blockdev "driver=file,filename=$VM_DIR/first.qcow2,node-name=first" --blockdev "driver=file,filename=$VM_DIR/second,node-name=second" \
		--nbd-server "addr.type=unix,addr.path=$VM_DIR/nbd.sock" --export type=nbd,id=first,node-name=first,writable=on \
		--export type=nbd,id=second,node-name=second,writable=on \
		--chardev "socket,id=ctl,path=$NBD_CTL,server=on,wait=off" --monitor chardev=ctl
	NBD_PID=$!
	wait_for 5 test -S "$NBD_CTL"
}

@test "an NBD server that lets nobody in any more in the middle of an update: the old QEMU has its connections" {
	cd "$VM_DIR"
	qemu-img create -q -f qcow2 first.qcow2 64M
	truncate -s 80M first.qcow2 # what is exported does not grow
	qemu-img create -q -f raw second 4M
	start_exports
	boot_linux -M pc-q35-7.2 -accel tcg -drive "file=nbd+unix:///first?socket=$VM_DIR/nbd.sock,format=qcow2,if=none,id=disk0" \
		-device virtio-blk-pci,drive=disk0 -device virtio-scsi-pci -device scsi-hd,drive=disk1 \
		-drive "file=nbd+unix:///second?socket=$VM_DIR/nbd.sock,format=raw,if=none,id=disk1,file.reconnect-delay=20"
	start_serial_client
	wait_serial 20 'DISK ok'
	[[ $(qemu_io disk1 'write -P 1 0 64k') != *rror* ]]
	in_the_middle "mv $VM_DIR/nbd.sock $VM_DIR/away.sock"
	fails_in_the_middle
	jq -e '.reasons[0] | test("Failed to connect")' <<<"$UPDATE_RESULT"
	disk_goes_on
	drives_hold 1 disk1
	# The connections are the same still, and are known to be.
	mv away.sock nbd.sock
	fails_in_the_middle
	disk_goes_on
	drives_hold 2 disk1
	mv away.sock nbd.sock
	update_vm new
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	disk_goes_on
	drives_hold 3 disk1
	fails nbd_is_waited_for
	[ "$(guest_status bad)" = 0 ]
	power_off
	serial_was_whole
	end_process "$NBD_PID"
	qemu-img check -q first.qcow2
	disk_is_whole first.qcow2 qcow2
}

@test "two disks of one NBD server, of which the first was connected again: each has its own after a failed update" {
	cd "$VM_DIR"
	qemu-img create -q -f raw first.qcow2 4M
	qemu-img create -q -f raw second 4M
	start_exports
	boot_guest -M pc-q35-7.2 -accel tcg -drive "file=nbd+unix:///first?socket=$VM_DIR/nbd.sock,format=raw,if=virtio,id=nbd0,file.reconnect-delay=20" \
		-drive "file=nbd+unix:///second?socket=$VM_DIR/nbd.sock,format=raw,if=virtio,id=nbd1"
	qmp "$NBD_CTL" '{"execute": "block-export-del", "arguments": {"id": "first", "mode": "hard"}}'
	wait_for 5 qmp "$NBD_CTL" '{"execute": "block-export-add", "arguments": {"type": "nbd", "id": "first", "node-name": "first", "writable": true}}'
	[[ $(qemu_io nbd0 'write -P 1 0 64k') != *rror* ]]
	[[ $(qemu_io nbd1 'write -P 2 0 64k') != *rror* ]]
	in_the_middle "mv $VM_DIR/nbd.sock $VM_DIR/away.sock"
	fails_in_the_middle
	guest_alive
	drives_hold 1 nbd0
	drives_hold 2 nbd1
}

@test "an NBD server that is gone in the middle of an update: the guest stands still until it is back" {
	local shared updater

	qemu-img create -q -f raw "$VM_DIR/exported" 64M
	for shared in 1 2; do
		use_qemu old
		start_nbd nbd "$VM_DIR/exported" --shared=$shared
		boot_guest -M pc-q35-7.2 -accel tcg -drive "file=nbd+unix:///?socket=$VM_DIR/nbd.sock,format=raw,if=virtio,id=nbd0"
		start_serial_client
		in_the_middle "kill $NBD_PID"
		fails_in_the_middle &
		updater=$!
		wait_for 20 nbd_is_waited_for
		rm -f "$VM_DIR/shim.log"
		start_nbd nbd "$VM_DIR/exported" --shared=$shared
		wait "$updater"
		guest_alive
		[[ $(qemu_io nbd0 'write -P 1 0 64k') != *rror* ]]
		update_vm new
		drives_hold 1 nbd0
		vm_ctl quit
		wait_for 5 is_gone "$VM_PID"
		serial_was_whole
		end_process "$NBD_PID"
	done
}

@test "an NBD server that hangs, refuses or is gone is found out before the guest is touched" {
	qemu-img create -q -f raw "$VM_DIR/exported" 4M
	boot_with_nbd() {
		start_nbd nbd "$VM_DIR/exported" --export-name=disk "$@"
		boot_guest -M q35 -accel tcg -drive "file=nbd+unix:///disk?socket=$VM_DIR/nbd.sock,format=raw,if=virtio,id=nbd0"
		start_qmp_client
	}
	# refused PATTERN: for this reason alone, and nobody has seen the guest stop
	refused() {
		fails update_by_ctl
		jq -e --arg pattern "$1" '.outcome == "refused" and (.reasons | length == 1) and (.reasons[0] | test($pattern))' \
			<<<"$UPDATE_RESULT"
		guest_alive
	}
	boot_with_nbd --shared=2
	kill -STOP "$NBD_PID"
	refused 'nbd.sock does not answer a second client'
	kill -CONT "$NBD_PID"
	mv "$VM_DIR/nbd.sock" "$VM_DIR/away.sock"
	refused 'nbd.sock cannot be connected to again: No such file'
	start_background "$VM_DIR/other.log" qemu-nbd --persistent -f raw -k "$VM_DIR/nbd.sock" --export-name=other "$VM_DIR/exported"
	wait_for 5 test -S "$VM_DIR/nbd.sock"
	refused 'nbd.sock does not serve the disk to a second client'
	mv -f "$VM_DIR/away.sock" "$VM_DIR/nbd.sock"
	update_vm new
	end_process "$NBD_PID"
	refused 'nbd.sock has ended a disk.s connection'
	stop_qmp_client >"$VM_DIR/summary.json"
	jq -e '.events == []' "$VM_DIR/summary.json"
	end_process "$VM_PID"

	boot_with_nbd
	kill -STOP "$NBD_PID"
	refused 'nbd.sock is stopped'
	kill -CONT "$NBD_PID"
	update_vm new
	guest_alive
}

# drives_hold BYTE DRIVE...: what was written before is there, and is written anew with the next byte
drives_hold() {
	local byte=$1 drive

	for drive in "${@:2}"; do
		has_pattern "$drive" "$byte" || return 1
		[[ $(qemu_io "$drive" "write -P $((byte + 1)) 0 64k") != *rror* ]]
	done
}

@test "LUKS, pflash by -blockdev, an NBD server, SCSI and IDE front ends, locking=off, I/O limits, discard, there and back" {
	local name drives=(luks vars nbd0 thin scsi ide)

	cd "$VM_DIR"
	printf 'a passphrase' >passphrase
	# It measures how fast the processor is, and gives up where the clock of its thread has not moved.
	wait_for 30 qemu-img create -q -f luks --object secret,id=key,file=passphrase -o key-secret=key,iter-time=10 luks.img 4M
	for name in vars exported scsi ide; do
		qemu-img create -q -f raw "$name.img" 4M
	done
	qemu-img create -q -f qcow2 thin.img 4M
	cp /usr/share/seabios/bios-256k.bin code.img
	start_nbd nbd exported.img
	boot_guest -M q35,pflash0=code,pflash1=vars -accel tcg \
		-object secret,id=key,file=passphrase \
		-blockdev "driver=luks,node-name=luks,key-secret=key,file.driver=file,file.filename=luks.img" -device virtio-blk-pci,drive=luks \
		-blockdev driver=file,filename=code.img,node-name=code,read-only=on -blockdev driver=file,filename=vars.img,node-name=vars \
		-drive "file=nbd+unix:///?socket=$VM_DIR/nbd.sock,format=raw,if=none,id=nbd0" -device virtio-blk-pci,drive=nbd0 \
		-drive file=thin.img,if=virtio,id=thin,cache=writeback,discard=unmap,detect-zeroes=unmap \
		-object iothread,id=io0 -device virtio-scsi-pci,iothread=io0 \
		-blockdev driver=file,filename=scsi.img,node-name=scsi,locking=off,aio=threads -device scsi-hd,drive=scsi \
		-drive file=ide.img,format=raw,if=none,id=ide,throttling.bps-total=100000000,throttling.iops-total=1000,werror=stop,rerror=stop -device ide-hd,drive=ide
	for name in "${drives[@]}"; do
		[[ $(qemu_io "$name" 'write -P 1 0 64k') != *rror* ]]
	done
	update_vm new
	drives_hold 1 "${drives[@]}"
	update_vm old
	drives_hold 2 "${drives[@]}"
	guest_alive
	vm_ctl query-block | jq -e 'any(.inserted.bps == 100000000 and .inserted.iops == 1000)'
	vm_ctl quit
	wait_for 5 is_gone "$VM_PID"
	qemu-img check -q thin.img
}

@test "a block device of the host, there and back; another one in its place is refused" {
	truncate -s 4M "$VM_DIR/image" "$VM_DIR/other"
	LOOP=$(losetup --find --show "$VM_DIR/image") || skip "no loop devices here"
	cp -a "$LOOP" "$VM_DIR/device"
	boot_guest -M q35 -accel tcg -device virtio-blk-pci,drive=host \
		-blockdev "driver=host_device,node-name=host,filename=$VM_DIR/device,cache.direct=on"
	[[ $(qemu_io host 'write -P 1 0 64k') != *rror* ]]
	update_vm new
	drives_hold 1 host
	update_vm old
	drives_hold 2 host
	rm "$VM_DIR/device"
	mknod "$VM_DIR/device" b 7 255
	run -1 update_vm new
	[[ $output == *"/device is another file now"* ]]
	guest_alive
}

# --- what QEMU itself cannot save ---

@test "devices and image formats that QEMU calls non-migratable are refused by their names" {
	qemu-img create -q -f vmdk "$VM_DIR/disk.vmdk" 4M
	qemu-img create -q -f raw "$VM_DIR/disk" 4M
	boot_guest -M q35 -accel tcg -drive "file=$VM_DIR/disk.vmdk,format=vmdk,if=virtio" \
		-drive "file=$VM_DIR/disk,format=raw,if=none,id=nvme" -device nvme,drive=nvme,serial=1 \
		-object cryptodev-backend-builtin,id=crypto -device virtio-crypto-pci,cryptodev=crypto \
		-chardev qemu-vdagent,id=agent,clipboard=on -device virtio-serial-pci -device virtserialport,chardev=agent
	run -1 update_vm new
	[[ $output == *"non-migratable device: "*"nvme"* ]]
	[[ $output == *"non-migratable device: "*"virtio-crypto"* ]]
	[[ $output == *"vmdk format used by node"* ]]
	[[ $output == *'"refused"'* ]]
	guest_alive
}
