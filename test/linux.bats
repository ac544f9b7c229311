# SPDX-License-Identifier: LGPL-2.1-or-later
# The Linux guest: tap, disks, RAM, balloon and display across updates, with QEMU 7.2 and 10.0.

load lib/common
load lib/network
load lib/linuxguest

setup() {
	setup_vm_dir
	LINUX_APPEND=
}

teardown() {
	teardown_vm_dir
}

# --- network, qcow2, RAM ---

@test "7.2 -> 10.0 -> 7.2 twice: 500 pings a second on a tap, a qcow2 disk being written, RAM, uptime" {
	make_netns
	qemu-img create -q -f qcow2 -o lazy_refcounts=on "$VM_DIR/disk.qcow2" 64M
	qemu-img bitmap --add "$VM_DIR/disk.qcow2" backup0
	boot_linux -M q35 -accel tcg "${TAP_ARGS[@]}" -drive "file=$VM_DIR/disk.qcow2,if=virtio"
	start_serial_client
	let_guest_work 1
	local warnings links changes offloads
	warnings=$(guest_warnings)
	links=$(guest_status links)
	changes=$(carrier_changes)
	offloads=$(offloads)
	[ "$(jq '."tx-checksum" and .tso' <<<"$offloads")" = true ]
	watch_link
	start_pinger --rate 200

	update_vm new
	let_guest_work 1
	update_vm old
	let_guest_work 1
	update_vm new
	update_vm old
	let_guest_work 2

	no_ping_lost 600
	link_was_quiet
	[ "$(carrier_changes)" = "$changes" ]
	[ "$(offloads)" = "$offloads" ]
	[ "$(guest_status links)" = "$links" ]
	[ "$(guest_warnings)" = "$warnings" ]
	[ "$(guest_status bad)" = 0 ]
	uptime_is_steady
	vm_ctl query-block | jq -e '.[0].inserted["dirty-bitmaps"][0] | .name == "backup0" and .persistent and .recording'
	power_off
	serial_was_whole
	qemu-img check -q "$VM_DIR/disk.qcow2"
	disk_is_whole "$VM_DIR/disk.qcow2" qcow2
	qemu-img info --output=json "$VM_DIR/disk.qcow2" |
		jq -e '."format-specific".data.bitmaps[0] | .name == "backup0" and (.flags | index("in-use") == null)'
}

@test "a tap that QEMU made, with scripts: the up script runs once, the down script at the end only; a TCP connection stays" {
	make_netns
	ip -n "$NETNS" link delete "$TAP"
	TAP=made0
	local script
	for script in up down; do
		cat >"$VM_DIR/$script" <<-END
			#!/bin/sh
			echo "$script \$1 \${LD_PRELOAD:-none}" >>$VM_DIR/scripts
			[ $script = down ] || { ip address add $HOST_ADDRESS/24 dev \$1 && ip link set \$1 up; }
		END
		chmod +x "$VM_DIR/$script"
	done
	boot_linux -M pc -accel tcg -device virtio-net-pci,netdev=net0 \
		-netdev "tap,id=net0,ifname=$TAP,script=$VM_DIR/up,downscript=$VM_DIR/down"
	[ "$(cat "$VM_DIR/scripts")" = "up $TAP none" ]
	start_serial_client
	local index
	index=$(ip netns exec "$NETNS" cat "/sys/class/net/$TAP/ifindex")
	watch_link
	start_pinger --rate 200
	mkfifo "$VM_DIR/tcp.in"
	start_background "$VM_DIR/tcp.log" sh -c 'exec "$@" <>"$0"' "$VM_DIR/tcp.in" \
		ip netns exec "$NETNS" socat - "TCP:$GUEST_ADDRESS:7"
	echo before >"$VM_DIR/tcp.in"
	wait_for 5 grep -qx before "$VM_DIR/tcp.log"

	update_vm new
	echo between >"$VM_DIR/tcp.in"
	wait_for 5 grep -qx between "$VM_DIR/tcp.log"
	update_vm old
	echo after >"$VM_DIR/tcp.in"
	wait_for 5 grep -qx after "$VM_DIR/tcp.log"

	[ "$(cat "$VM_DIR/tcp.log")" = "before"$'\n'"between"$'\n'"after" ]
	no_ping_lost 100
	link_was_quiet
	[ "$(ip netns exec "$NETNS" cat "/sys/class/net/$TAP/ifindex")" = "$index" ]
	[ "$(cat "$VM_DIR/scripts")" = "up $TAP none" ]
	vm_ctl quit
	wait_for 5 is_gone "$VM_PID"
	[ "$(cat "$VM_DIR/scripts")" = "up $TAP none"$'\n'"down $TAP none" ]
	if ip -n "$NETNS" link show "$TAP"; then
		return 1 # made by QEMU, so it ends with QEMU
	fi
}

@test "two virtual CPUs: network, RAM and uptime" {
	make_netns
	boot_linux -M q35 -accel tcg,thread=multi -smp 2 "${TAP_ARGS[@]}"
	start_serial_client
	start_pinger --rate 200
	let_guest_work 1
	update_vm new
	let_guest_work 1
	update_vm old
	let_guest_work 1
	no_ping_lost 200
	[ "$(guest_status bad)" = 0 ]
	uptime_is_steady
	stop_serial_client
}

# --- disks ---

# disk_test FORMAT OPTIONS [QEMU ARGUMENTS]: there and back while the guest writes, then everything is found on the host.
disk_test() {
	local format=$1 options=$2

	shift 2
	qemu-img create -q -f "$format" "$VM_DIR/disk" 64M
	boot_linux -M q35 -accel tcg -drive "file=$VM_DIR/disk,format=$format,if=none,id=disk0,$options" "$@"
	start_serial_client
	wait_serial 20 'DISK ok'
	local warnings
	warnings=$(guest_warnings)
	update_vm new
	disk_goes_on
	update_vm old
	disk_goes_on
	[ "$(guest_warnings)" = "$warnings" ]
	[ "$(guest_status bad)" = 0 ]
	uptime_is_steady
	power_off
	serial_was_whole
	disk_is_whole "$VM_DIR/disk" "$format"
}

@test "raw disk, cache=none, aio=native, in an iothread" {
	disk_test raw cache=none,aio=native -object iothread,id=io0 -device virtio-blk-pci,drive=disk0,iothread=io0
}

@test "raw disk, cache=none, aio=io_uring, in an iothread" {
	disk_test raw cache=none,aio=io_uring -object iothread,id=io0 -device virtio-blk-pci,drive=disk0,iothread=io0
}

@test "qcow2 disk, cache=none, aio=threads, in an iothread, discard" {
	disk_test qcow2 cache=none,aio=threads,discard=unmap,detect-zeroes=unmap -object iothread,id=io0 \
		-device virtio-blk-pci,drive=disk0,iothread=io0
	qemu-img check -q "$VM_DIR/disk"
}

# --- memory ---

# MiB of host memory that the VM's RAM has.
host_mib() {
	local fd sum=0

	for fd in "/proc/$VM_PID/fd"/*; do
		case $(readlink "$fd") in
		*memfd:cprshim-ram*) sum=$((sum + $(stat -L -c %b "$fd"))) ;;
		esac
	done
	echo $((sum / 2048))
}

balloon_to() {
	vm_ctl "{\"execute\": \"balloon\", \"arguments\": {\"value\": $(($1 << 20))}}"
	wait_for 30 balloon_is "$1"
}

balloon_is() {
	[ "$(vm_ctl query-balloon | jq .actual)" = $(($1 << 20)) ]
}

# The guest uses memory that the balloon gave back, and finds zeros in it, then what it wrote.
guest_uses_memory() {
	[ "$(ask touch USED)" = "USED ok" ]
}

host_mib_below() {
	[ "$(host_mib)" -lt "$1" ]
}

@test "a balloon frees host memory and gives it back, before, across and after updates" {
	boot_linux -M q35 -accel tcg -device virtio-balloon-pci
	start_serial_client
	guest_uses_memory
	local full small
	full=$(host_mib)
	[ "$full" -gt 200 ]
	balloon_to 192
	wait_for 5 host_mib_below $((full - 80))
	small=$(host_mib)
	# Nor do huge pages, which are made of what is left some seconds later.
	wait_for 30 runs_for $(($(seconds_run) + 11))
	host_mib_below $((small + 2))

	update_vm new
	let_guest_work 1
	balloon_is 192
	# An update fills nothing that the balloon has freed, nor do huge pages after it.
	wait_for 5 host_mib_below $((small + 16))
	wait_for 30 runs_for $(($(seconds_run) + 11))
	host_mib_below $((small + 16))
	balloon_to 384
	guest_uses_memory
	[ "$(host_mib)" -gt $((small + 80)) ]
	balloon_to 192
	wait_for 5 host_mib_below $((small + 24))

	update_vm old
	balloon_is 192
	wait_for 5 host_mib_below $((small + 24))
	balloon_to 384
	guest_uses_memory
	[ "$(host_mib)" -gt $((small + 80)) ]
	let_guest_work 1
	[ "$(guest_status bad)" = 0 ]
	stop_serial_client
}

# backend_test BACKEND: RAM of the user's own backend; the pattern stays and goes on being rewritten.
backend_test() {
	boot_guest -accel tcg -object "$1,id=ram0,size=256M" -M q35,memory-backend=ram0
	start_serial_client
	ask t 'P [0-9]+'
	update_vm new
	update_vm old
	[[ $(ask v 'V ') = "V ok "* ]]
	guest_alive
	stop_serial_client
}

@test "memory-backend-memfd" {
	backend_test memory-backend-memfd
}

@test "memory-backend-file, share=on: the file stays the guest's memory" {
	truncate -s 256M "$VM_DIR/ram"
	backend_test "memory-backend-file,share=on,mem-path=$VM_DIR/ram"
	# What the guest wrote last is in the user's file, and nowhere else.
	vm_ctl stop
	vm_ctl "{\"execute\": \"pmemsave\", \"arguments\": {\"val\": 16777216, \"size\": 1048576, \"filename\": \"$VM_DIR/seen\"}}"
	cmp -n 1048576 "$VM_DIR/seen" "$VM_DIR/ram" 0 16777216
	[ "$(tr -d '\0' <"$VM_DIR/seen" | wc -c)" -gt 100000 ]
}

@test "-mem-path DIR: the file that QEMU makes and unlinks there is handed over, and no other appears" {
	mkdir "$VM_DIR/ram"
	boot_guest -accel tcg -M q35 -mem-path "$VM_DIR/ram"
	start_serial_client
	ask t 'P [0-9]+'
	update_vm new
	update_vm old
	[[ $(ask v 'V ') = "V ok "* ]]
	[ -z "$(ls "$VM_DIR/ram")" ]
	guest_alive
	stop_serial_client
}

# --- a client that is slow ---

@test "a serial client that does not read holds no update up, and gets every byte when it does" {
	boot_guest -M q35 -accel tcg
	start_serial_client --rate 200
	kill -USR1 "$SERIAL_PID"
	wait_for 20 grep -qx stalled "$VM_DIR/serial.json"
	update_vm new
	[ "$(jq '.blackout_ms < 900' <<<"$UPDATE_RESULT")" = true ]
	update_vm old
	kill -USR1 "$SERIAL_PID"
	guest_alive
	stop_serial_client
}

# --- display ---

screen() {
	vm_ctl "{\"execute\": \"screendump\", \"arguments\": {\"filename\": \"$VM_DIR/$1.ppm\"}}"
}

@test "VGA memory: a paused guest's screen is the same after an update, and still is a screen when it runs" {
	export LINUX_APPEND="console=tty0 ignore_loglevel"
	boot_linux -M q35 -accel tcg -vga std
	start_serial_client
	vm_ctl stop
	screen before
	# Text on it: more than a few colours' worth of bytes, and not blank.
	[ "$(tail -c +16 "$VM_DIR/before.ppm" | tr -d '\0' | wc -c)" -gt 1000 ]
	update_vm new
	screen between
	cmp "$VM_DIR/before.ppm" "$VM_DIR/between.ppm"
	update_vm old
	screen after
	cmp "$VM_DIR/before.ppm" "$VM_DIR/after.ppm"
	vm_ctl query-status | jq -e '.status == "paused"'
	vm_ctl cont
	guest_alive
}
