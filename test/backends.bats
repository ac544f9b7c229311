#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# backends.bats - devices of which the other half is in another process, across updates: a vhost-user disk, a TPM.

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
	local warnings fds threads
	warnings=$(guest_warnings)
	update_vm new
	jq -e '.warnings | any(test("^not rehearsed: .* a vhost-user back end that serves one QEMU at a time"))' <<<"$UPDATE_RESULT"
	run -0 ctl check --rehearse "$VM_PID"
	[[ $output = *'not rehearsed: '*'a vhost-user back end'* ]]
	disk_goes_on
	vm_ctl stop
	update_vm old
	vm_ctl cont
	disk_goes_on
	fds=$(fd_count) threads=$(thread_count)
	update_vm new
	disk_goes_on
	update_vm old
	disk_goes_on
	has_no_more_than "$fds" "$threads"
	[ "$(guest_warnings)" = "$warnings" ]
	uptime_is_steady
	disk_was_whole
}

@test "vhost-user-blk: a failed update leaves the disk with the old QEMU, requests under way included" {
	start_storage qemu-storage-daemon 60
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=load
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
	# Between two requests: what becomes of one that is under way is another test.
	vm_ctl stop
	end_process "$STORAGE_PID"
	refused 'disk0 has lost its vhost-user back end'
	start_storage "$VM_DIR/storage" "" ,reconnect=1
	vm_ctl cont
	disk_goes_on
	update_vm old
	disk_goes_on
	disk_was_whole
}

# QEMU 10.0 counts wrong then, mostly, and the guest's disk is gone; not so its memory, and whatever else it has.
@test "vhost-user-blk: a back end that ended with a request under way costs the guest its disk, an update does not cost more" {
	local tries

	use_qemu new
	start_storage qemu-storage-daemon "" ,reconnect=1
	boot_with_disk
	# One in three or four meets it at the wrong moment.
	for ((tries = 0; tries < 12; tries++)); do
		end_process "$STORAGE_PID"
		start_storage qemu-storage-daemon "" ,reconnect=1
		wait_for 10 back_end_is_connected
		disk_goes_on
		if grep -q 'DISK BAD' "$VM_DIR/serial.log"; then
			break
		fi
	done
	echo "tries: $tries" >&2
	if update_vm new; then
		disk_goes_on
	else
		jq -e '.outcome == "failed" and .blockers[0].code == "vhost-user-rings"' <<<"$UPDATE_RESULT"
		vm_runs new
	fi
	wait_serial 20 'RAM ok'
}

back_end_is_connected() { vm_ctl query-chardev | jq -e '.[] | select(.label == "vhost0") | .filename | test("disconnected") | not'; }

back_end_is_waited_for() { grep -q 'back end of a device does not listen' "$VM_DIR/shim.log"; }

@test "vhost-user-blk: a back end that dies in the middle of an update: the guest stands still until it is back" {
	local updater

	start_storage qemu-storage-daemon 60
	boot_with_disk
	cat >"$VM_DIR/command" <<-END
		#!/bin/sh
		[ -z "\$CPRSHIM_STATE" ] || { kill $STORAGE_PID; while kill -0 $STORAGE_PID; do :; done 2>/dev/null; }
		exec $QEMU_NEW "\$@"
	END
	chmod +x "$VM_DIR/command"
	(fails update_by_ctl --binary "$VM_DIR/command" && jq -e '.outcome == "failed"' <<<"$UPDATE_RESULT") &
	updater=$!
	wait_for 20 back_end_is_waited_for
	start_storage qemu-storage-daemon 60
	wait "$updater"
	vm_runs old
	disk_goes_on
	update_vm new
	disk_goes_on
	disk_was_whole
}

@test "vhost-user-blk, plugged in while the guest ran" {
	start_storage qemu-storage-daemon
	boot_linux -M pc-q35-7.2,memory-backend=ram0 -accel tcg -device pcie-root-port,id=port0 "${VHOST_ARGS[@]:0:2}"
	start_serial_client
	vm_ctl "$(jq -nc --arg path "$VM_DIR/vhost.sock" '{execute: "chardev-add", arguments: {id: "vhost0", backend: {type: "socket",
		data: {server: false, addr: {type: "unix", data: {path: $path}}}}}}')"
	vm_ctl '{"execute": "device_add", "arguments": {"driver": "vhost-user-blk-pci", "id": "disk0", "chardev": "vhost0", "bus": "port0"}}'
	wait_serial 30 'DISK ok'
	update_vm new
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

# --- TPM ---

# start_swtpm [OPTIONS]: arguments for QEMU in TPM_ARGS, but for the device.
start_swtpm() {
	mkdir -p "$VM_DIR/tpm"
	start_background "$VM_DIR/swtpm.log" swtpm socket --tpm2 --tpmstate "dir=$VM_DIR/tpm" \
		--ctrl "type=unixio,path=$VM_DIR/tpm.sock" "$@"
	SWTPM_PID=$!
	wait_for 5 test -S "$VM_DIR/tpm.sock"
	TPM_ARGS=(-chardev "socket,id=tpmctl,path=$VM_DIR/tpm.sock" -tpmdev emulator,id=tpm0,chardev=tpmctl)
}

# tpm TAG CODE HEX...: a command of the guest's, its length put in; prints the answer.
tpm() {
	local tag=$1 code=$2 body

	shift 2
	body=$(printf %s "$@")
	ask "tpm $(printf '%s%08x%s%s' "$tag" $((10 + ${#body} / 2)) "$code" "$body")" 'TPM ' | cut -d ' ' -f 2
}

TPM_OWNER=40000001
TPM_NV=01800001
TPM_NO_PASSWORD=000000094000000900000000
TPM_DIGEST=$(printf '%064x' 42)

# Register 16 of SHA-256, which is the guest's to play with.
tpm_pcr() { tpm 8001 0000017e 00000001000b03000001 | tail -c 65; }
tpm_extend() { tpm 8002 00000182 00000010 "${TPM_NO_PASSWORD}00" 00000001000b "$TPM_DIGEST"; }
tpm_define() {
	tpm 8002 0000012a $TPM_OWNER "${TPM_NO_PASSWORD}00" 0000 000e $TPM_NV 000b 02060006 0000 0020
}
tpm_write() { tpm 8002 00000137 $TPM_OWNER $TPM_NV "${TPM_NO_PASSWORD}00" 0020 "$1" 0000; }
tpm_read() { tpm 8002 0000014e $TPM_OWNER $TPM_NV "${TPM_NO_PASSWORD}00" 0020 0000 | cut -c 33-96; }

# extended VALUE: what the register holds after another tpm_extend
extended() {
	python3 -c 'import hashlib, sys; print(hashlib.sha256(bytes.fromhex(sys.argv[1] + sys.argv[2])).hexdigest())' "$1" "$TPM_DIGEST"
}

# The register holds what the guest has put there since the start, can be extended, and the guest's own memory in the TPM is as it wrote it.
tpm_is_well() {
	[ "$(tpm_pcr)" = "$PCR" ]
	[[ $(tpm_extend) = 8002????????00000000* ]]
	PCR=$(extended "$PCR")
	[ "$(tpm_pcr)" = "$PCR" ]
	[ "$(tpm_read)" = "$TPM_DIGEST" ]
}

# boot_with_tpm DEVICE [QEMU ARGUMENTS]
boot_with_tpm() {
	local device=$1

	shift
	boot_linux -M pc-q35-7.2 -accel tcg "${TPM_ARGS[@]}" -device "$device,tpmdev=tpm0" "$@"
	start_serial_client
	PCR=$(printf '%064x' 0)
	[[ $(tpm_define) = 8002????????00000000* ]]
	[[ $(tpm_write "$TPM_DIGEST") = 8002????????00000000* ]]
	tpm_is_well
}

# The page that firmware and guest leave requests to each other in.
ppi_write() {
	gdb -batch -nx -ex "target remote $VM_DIR/gdb.sock" -ex 'maintenance packet Qqemu.PhyMemMode:1' \
		-ex 'set {unsigned int}0xfed45100 = 0x2a2b2c2d' -ex detach >"$VM_DIR/gdb.log" 2>&1
}

ppi_is_kept() {
	vm_ctl '{"execute": "human-monitor-command", "arguments": {"command-line": "xp /1wx 0xfed45100"}}' | grep 0x2a2b2c2d
}

# RSA keys take a while to make: the update finds the TPM at work.
TPM_MAKE_KEY="$TPM_OWNER${TPM_NO_PASSWORD}00000400000000001a0001000b00030472000000060080004300100800000000000000000000000000"

@test "TPM, swtpm --terminate: registers, memory and the presence page through updates, running, paused and at work" {
	start_swtpm --terminate
	boot_with_tpm tpm-tis -gdb "unix:$VM_DIR/gdb.sock,server=on,wait=off"
	ppi_write
	ppi_is_kept
	local warnings fds before
	warnings=$(guest_warnings)
	update_vm new
	ppi_is_kept
	tpm_is_well
	vm_ctl stop
	update_vm old
	ppi_is_kept
	vm_ctl cont
	tpm_is_well
	fds=$(fd_count)
	before=$(answers 'TPM 8002........00000000')
	send_serial "tpm 8002$(printf %08x $((10 + ${#TPM_MAKE_KEY} / 2)))00000131$TPM_MAKE_KEY"
	update_vm new
	wait_for 30 more_answers "$before" 'TPM 8002........00000000'
	update_vm old
	tpm_is_well
	ppi_is_kept
	[ "$(fd_count)" = "$fds" ]
	[ "$(guest_warnings)" = "$warnings" ]
	# It has seen one connection, which ends with the guest.
	fails is_gone "$SWTPM_PID"
	power_off
	wait_for 5 is_gone "$SWTPM_PID"
}

@test "TPM: rehearsals, full ones too, talk to what stands for the emulator, and find what the new QEMU cannot do" {
	local how target

	start_swtpm --terminate
	boot_with_tpm tpm-crb
	for how in --rehearse --rehearse=full; do
		for target in "$QEMU_NEW" "$QEMU_OLD"; do
			run -0 --separate-stderr ctl check --json $how --binary "$target" "$VM_PID"
			jq -e '.ok and .warnings == [] and (.rehearsal.not_rehearsed | any(test("a TPM emulator: another stood for it")))' \
				<<<"$output"
			tpm_is_well
		done
	done
	fails update_by_ctl --command env CPRSHIM_FAULT=rehearsal-init:segv "$QEMU_NEW"
	jq -e '.outcome == "refused" and (.reasons[0] | test("rehearsed: .*signal 11"))' <<<"$UPDATE_RESULT"
	tpm_is_well
	update_vm new
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	tpm_is_well
}

@test "TPM: a failed update leaves it as it was" {
	start_swtpm --terminate
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=cont
	boot_with_tpm tpm-crb
	fails update_vm new
	tpm_is_well
	fails update_vm new
	tpm_is_well
	vm_runs old
	end_process "$SWTPM_PID"
	refused '^1 of 1 TPMs have lost their emulator'
	stop_serial_client
}

# CMD_GET_CAPABILITY, the question what TPM it is, CMD_INIT, CMD_SET_STATEBLOB
@test "TPM: a new QEMU that ends between a command to the TPM and its answer leaves nothing that the old one would read" {
	local command

	SHIM=$SHIM:$CPRSHIM_BUILDDIR/test/programs/.libs/tpmdeath.so
	export TPM_DEATH=$VM_DIR/death
	start_swtpm --terminate
	boot_with_tpm tpm-crb
	for command in 1 data 2 d; do
		echo "$command" >"$TPM_DEATH"
		fails update_by_ctl --method exec --no-rehearse --binary "$QEMU_NEW"
		jq -e '.outcome == "failed" and (.reasons[0] | test("_exit.3."))' <<<"$UPDATE_RESULT"
		[ ! -e "$TPM_DEATH" ]
		vm_runs old
		tpm_is_well
	done
	update_vm new
	tpm_is_well
	stop_serial_client
}

@test "a process that is killed in the middle of an update: disk and TPM are with the guest in the new one" {
	start_storage qemu-storage-daemon
	start_swtpm --terminate
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=init:kill
	boot_with_tpm tpm-tis "${VHOST_ARGS[@]}" -machine memory-backend=ram0
	wait_serial 20 'DISK ok'
	local pid=$VM_PID
	fails update_by_ctl --binary "$QEMU_NEW"
	jq -e '.reasons[0] | test("was killed")' <<<"$UPDATE_RESULT"
	VM_PID=$(jq .pid <<<"$UPDATE_RESULT")
	STARTED+=("$VM_PID")
	is_gone "$pid"
	disk_goes_on
	tpm_is_well
	disk_was_whole
	wait_for 5 is_gone "$SWTPM_PID"
}

# A terminal that says to every command that it does not know it passes for a TPM.
@test "TPM: the host's own is refused by name" {
	cat >"$VM_DIR/hosttpm.py" <<-'END'
		import os, pty, sys, tty
		ours, theirs = pty.openpty()
		tty.setraw(theirs)
		os.symlink(os.ttyname(theirs), sys.argv[1])
		while os.read(ours, 4096):
		    os.write(ours, bytes.fromhex("80010000000a00000101"))
	END
	start_background "$VM_DIR/hosttpm.log" python3 "$VM_DIR/hosttpm.py" "$VM_DIR/hosttpm"
	wait_for 5 test -e "$VM_DIR/hosttpm"
	boot_guest -M q35 -tpmdev "passthrough,id=tpm0,path=$VM_DIR/hosttpm,cancel-path=/dev/null" -device tpm-tis,tpmdev=tpm0
	fails update_by_ctl
	jq -e '.reasons | any(test("^-tpmdev passthrough: the host.s TPM"))' <<<"$UPDATE_RESULT"
	guest_alive
}
