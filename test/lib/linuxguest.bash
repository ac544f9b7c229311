# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What tests with the Linux guest share: questions to it, and what it left on its disk. Loaded after lib/common.

# guest_status FIELD
guest_status() {
	ask status STATUS | sed -E "s/.*\<$1=(-?[0-9.]+).*/\1/"
}

# How many warnings the guest's kernel has logged since it started.
guest_warnings() {
	ask warnings WARNINGS
}

# The guest's own clock rose with every line, and never by more than a second between two lines of a tenth.
uptime_is_steady() {
	grep -aE '^[0-9.]+ C [0-9]+ ' "$VM_DIR/serial.log" | awk '
		$4 + 0 < last || (NR > 1 && $4 - last > 1) { print "uptime " last " was followed by " $4; bad = 1 }
		{ last = $4 }
		END { exit bad || NR < 10 }'
}

# let_guest_work N: lets the guest write, check and answer for that many more passes over its RAM.
let_guest_work() {
	local passes

	passes=$(guest_status passes)
	wait_for 20 passes_beyond $((passes + $1))
}

passes_beyond() {
	[ "$(grep -aE ' RAM ok [0-9]+$' "$VM_DIR/serial.log" | tail -n 1 | cut -d ' ' -f 4)" -ge "$1" ]
}

power_off() {
	send_serial poweroff
	wait_for 20 is_gone "$VM_PID"
}

# disk_is_whole IMAGE FORMAT: what the guest wrote is there, down to its last record before power_off. Its console is closed.
disk_is_whole() {
	local newest

	newest=$(grep -aE ' DISK ok [0-9]+$' "$VM_DIR/serial.log" | tail -n 1 | cut -d ' ' -f 4)
	qemu-img convert -f "$2" -O raw "$1" "$VM_DIR/disk.raw"
	"$TOOLS/checkdisk.py" "$VM_DIR/disk.raw" "$newest"
}

# stop_serial_client fails where QEMU has ended; nothing else may be wrong.
serial_was_whole() {
	stop_serial_client | tee /dev/stderr | tail -n 1 | jq -e '.problems - ["the connection was closed"] == []'
}

# Requests that the guest makes are answered: it has written for a second more.
disk_goes_on() {
	wait_for 20 more_answers "$(answers 'DISK ok')" 'DISK ok'
}

# boot_busy: the guest on a tap, writing a qcow2 disk in an I/O thread, with a client on its console and one on QMP. MACHINE is its
# type. Needs network.bash.
boot_busy() {
	make_netns
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 64M
	boot_linux -M "$MACHINE" -accel tcg "${TAP_ARGS[@]}" -object iothread,id=io0 \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=disk0,cache=none,aio=native" -device virtio-blk-pci,drive=disk0,iothread=io0
	start_serial_client
	start_qmp_client
	wait_serial 20 'DISK ok'
}

# nothing_is_lost_by COMMAND: a busy guest that is pinged and connected to is updated by it there and back twice, to its argument.
nothing_is_lost_by() {
	boot_busy
	local changes links binary
	changes=$(carrier_changes)
	links=$(guest_status links)
	watch_link
	start_pinger --rate 200
	start_echoes 2 "$GUEST_ADDRESS" 7
	for binary in "$QEMU_NEW" "$QEMU_OLD" "$QEMU_NEW" "$QEMU_OLD"; do
		"$1" "$binary"
		let_guest_work 1
		qmp_goes_on
		disk_goes_on
	done
	no_ping_lost 400
	link_was_quiet
	[ "$(carrier_changes)" = "$changes" ]
	[ "$(guest_status links)" = "$links" ]
	[ "$(guest_status bad)" = 0 ]
	uptime_is_steady
	stop_echoes >/dev/null
	stop_qmp_client
	power_off
	serial_was_whole
	qemu-img check -q "$VM_DIR/disk.qcow2"
	disk_is_whole "$VM_DIR/disk.qcow2" qcow2
}
