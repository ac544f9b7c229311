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
teardown() { teardown_vm_dir; }

NO_SANDBOX='seccomp_sandbox = 0'

monitor() { lv qemu-monitor-command guest "{\"execute\": \"$1\"}"; }

# Where libvirt has put vCPUs and the I/O thread, and the CPUs that they may be on.
thread_places() {
	local tid

	for tid in $(monitor query-cpus-fast | jq '.return[]."thread-id"') $(monitor query-iothreads | jq '.return[]."thread-id"'); do
		sort "/proc/$VM_PID/task/$tid/cgroup"
		taskset -cp "$tid" | sed 's/.*: //'
	done
}

@test "libvirt: a domain whose emulator is the wrapper is updated by cprctl and by SIGUSR2; monitor, id, state, console and log go on" {
	local events id

	setup_libvirt lv "$NO_SANDBOX"
	# Probing goes through the wrapper.
	lv domcapabilities --emulatorbin "$VM_DIR/bin/qemu-system-x86_64" | grep -q "<path>/usr/bin/qemu-system-x86_64</path>\|<path>$VM_DIR/bin/"
	define_guest
	start_guest
	[ "$(stat -c %u "/proc/$VM_PID")" = 64055 ]
	id=$(lv domid guest)
	lv vcpupin guest 1 0
	lv iothreadpin guest 1 1
	lv emulatorpin guest 0-1
	start_link events -- virsh --connect "$CONNECT" event --all --loop
	monitor_answers 7.2
	cp "/proc/$VM_PID/cgroup" "$VM_DIR/cgroup"
	thread_places >"$VM_DIR/places"
	grep vcpu1 "$VM_DIR/places"

	update_by_ctl --binary "$QEMU_NEW"
	monitor_answers 10.0
	console_goes_on
	jq -e '.warnings | length == 1 and (.[0] | test("lacks migration capabilities .*compress.*: restart libvirtd before"))' <<<"$UPDATE_RESULT"
	thread_places | diff "$VM_DIR/places" -
	use_qemu old
	update_vm
	monitor_answers 7.2
	console_goes_on
	[ "$(lv domid guest)" = "$id" ]
	# The limits of the VM as a whole are those of its cgroup.
	diff "$VM_DIR/cgroup" "/proc/$VM_PID/cgroup"
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

guest_is_off() { [ "$(lv domstate guest)" = "shut off" ]; }
disk_was_written() { [ "$(lv domblkstat guest vda | awk '/ wr_req / { print $3 }')" -gt 0 ]; }

bridge_has_no_port() { [ -z "$(ip -n "$NETNS" link show master br0)" ]; }

@test "libvirt: what virsh does with a VM works after an update as before: disks, interfaces, memory, statistics, snapshots, reset, shutdown" {
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
	# A tap of libvirtd's own, which is a port of a bridge and ends with the interface.
	ip -n "$NETNS" link add br0 up type bridge
	lv attach-interface guest bridge br0 --model virtio --mac 52:54:00:11:00:04
	update_by_ctl --binary "$QEMU_NEW"
	lv domiflist guest | grep 'br0.*52:54:00:11:00:04'
	ip -n "$NETNS" link show master br0 | grep LOWER_UP
	update_by_ctl --binary "$QEMU_OLD"
	lv detach-interface guest bridge --mac 52:54:00:11:00:04
	wait_for 20 bridge_has_no_port
	lv setmem guest 350M --live
	update_by_ctl --binary "$QEMU_NEW"
	lv dommemstat guest
	# QEMU counts anew.
	wait_for 20 disk_was_written
	update_by_ctl --binary "$QEMU_OLD"
	# Not with 10.0, which itself may lose an interrupt of a disk in an I/O thread when it stops the guest.
	lv snapshot-create-as guest first
	console_goes_on
	update_by_ctl --binary "$QEMU_NEW"
	update_by_ctl --binary "$QEMU_OLD"
	lv snapshot-list guest | grep -q first
	# It starts another QEMU for that.
	lv snapshot-revert guest first
	find_guest
	update_by_ctl --binary "$QEMU_NEW"
	lv snapshot-delete guest first
	lv reset guest
	attach_console
	wait_link 60 console 'RAM ok '
	update_by_ctl --binary "$QEMU_OLD"
	# The guest is told, and turns itself off.
	lv shutdown guest
	wait_for 20 guest_is_off
	grep -a 'shutting down, reason=shutdown' "$LV/log/libvirt/qemu/guest.log"
}

# migrate_guest HOST
migrate_guest() {
	lv migrate guest "qemu+unix:///system?socket=$VM_DIR/$1/run/libvirt/libvirt-sock" --migrateuri tcp://127.0.0.1:49200 \
		--live --unsafe --persistent
}

@test "libvirt: an updated VM is migrated to another host's libvirtd and updated there; what the new QEMU lacks takes a restart of libvirtd" {
	setup_libvirt two "$NO_SANDBOX"
	setup_libvirt one "$NO_SANDBOX"
	define_guest
	start_guest
	update_by_ctl --binary "$QEMU_NEW"
	# A capability that 7.2 has and 10.0 has not is set by name, as libvirtd asks for them when it connects.
	fails migrate_guest two 2>"$VM_DIR/migrate.txt"
	grep "does not accept value 'compress'" "$VM_DIR/migrate.txt"
	fails lv managedsave guest 2>"$VM_DIR/save.txt"
	grep "does not accept value 'compress'" "$VM_DIR/save.txt"
	[ "$(lv domstate guest)" = running ]
	console_goes_on
	stop_libvirtd
	start_libvirtd
	migrate_guest two
	[ "$(lv domstate guest --reason)" = "shut off (migrated)" ]
	wait_for 10 is_gone "$VM_PID"
	use_libvirt two
	find_guest
	attach_console
	# It takes the disk away from QEMU's user, as it knows nobody else who has it; of storage that hosts share it does not.
	chown 64055:64055 "$VM_DIR/disk.qcow2"
	console_goes_on
	update_by_ctl --binary "$QEMU_NEW"
	monitor_answers 10.0
	console_goes_on
	lv destroy guest
}

@test "libvirt: libvirtd is restarted before, between and in the middle of updates, and a saved VM is started again" {
	setup_libvirt lv "$NO_SANDBOX"
	# Without the wrapper.
	EMULATOR=/usr/bin/qemu-system-x86_64 ENVIRONMENT="<qemu:env name='LD_PRELOAD' value='$VM_DIR/lib/libcprshim.so'/>" define_guest
	start_guest
	stop_libvirtd
	update_by_ctl --binary "$QEMU_NEW"
	start_libvirtd
	monitor_answers 10.0
	update_by_ctl --binary "$QEMU_OLD"
	monitor_answers 7.2
	# Its end and its return fall anywhere in it.
	start_background "$VM_DIR/update.json" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --json --binary "$QEMU_NEW" "$VM_PID"
	stop_libvirtd
	start_libvirtd
	wait_for 60 jq -e '.outcome == "updated"' "$VM_DIR/update.json"
	wait_for 20 monitor_answers 10.0
	[ "$(lv domstate guest)" = running ]

	update_by_ctl --binary "$QEMU_OLD"
	lv managedsave guest
	wait_for 10 is_gone "$VM_PID"
	lv start guest
	find_guest
	attach_console
	update_by_ctl --binary "$QEMU_NEW"
	console_goes_on
	lv destroy guest
}

@test "libvirt: with the sandbox that it gives a VM an update is refused, and the refusal names the setting" {
	setup_libvirt lv
	define_guest
	start_guest
	fails update_by_ctl --binary "$QEMU_NEW"
	jq -e '.outcome == "refused" and .blockers[0].code == "sandbox" and (.blockers[0].do | contains("seccomp_sandbox = 0"))' \
		<<<"$UPDATE_RESULT"
	console_goes_on
	lv destroy guest
}

@test "libvirt: a domain of type kvm is updated there and back" {
	kvm_works || skip "KVM does not run this guest here"
	local ticks

	setup_libvirt lv "$NO_SANDBOX"
	TYPE=kvm BOOT="<kernel>$VM_DIR/guest.elf</kernel><cmdline>kib=64</cmdline>" define_guest
	EXPECTED=pattern-ok start_guest
	monitor query-kvm | jq -e .return.enabled
	update_by_ctl --binary "$QEMU_NEW"
	monitor_answers 10.0
	update_by_ctl --binary "$QEMU_OLD"
	monitor query-kvm | jq -e .return.enabled
	ticks=$(lines pattern-ok)
	wait_for 10 has_more_lines pattern-ok $((ticks + 3))
	fails grep -a BAD "$VM_DIR/console.link"
	lv destroy guest
}
