# SPDX-License-Identifier: LGPL-2.1-or-later
# versions.bats - from one version of QEMU to another, every pair up and down, and by commands that end in a QEMU.

bats_require_minimum_version 1.5.0

load lib/common

setup() {
	setup_vm_dir
	LINUX_APPEND=
}

teardown() { teardown_vm_dir; }

# A machine type that 7.2, 10.0 and 11.1 know.
MACHINE=pc-q35-7.2

# to old|new|11 VERSION: an update to it, and the guest counts on.
to() {
	update_vm "$1"
	[ "$(vm_version)" = "$2" ]
	guest_alive
}

# refused_command PATTERN COMMAND...: refused with one reason, and the guest counts on.
refused_command() {
	local pattern=$1

	shift
	fails update_by_ctl --command "$@"
	jq -e --arg pattern "$pattern" \
		'.outcome == "refused" and (.reasons | length == 1) and (.reasons[0] | test($pattern))' <<<"$UPDATE_RESULT"
	guest_alive
}

script() {
	printf '#!/bin/sh\n%s\n' "$2" >"$VM_DIR/$1"
	chmod 755 "$VM_DIR/$1"
}

# --- versions ---

@test "7.2, 10.0 and 11.1: every pair, up and down" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -M $MACHINE -smp 2 -drive "file=$VM_DIR/disk.qcow2,if=virtio" -device virtio-rng-pci -device qemu-xhci
	start_serial_client --rate 100
	start_qmp_client
	to new 10.0
	to 11 11.1
	to 11 11.1
	to old 7.2
	to 11 11.1
	to new 10.0
	to old 7.2
	send_serial m
	wait_serial 10 'M [0-9a-f]+ [0-9a-f]+ ok'
	qmp_goes_on
	stop_qmp_client
	stop_serial_client
}

@test "a VM that was started by a script, with a loader of its own: updated by the same, down and up again" {
	use_qemu 11
	boot_guest -M $MACHINE
	start_serial_client
	[ "$(ctl status --json "$VM_PID" | jq -r .outdated)" = false ]
	# The file that the kernel runs is the loader.
	[ "$(ctl list --json | jq -r --argjson pid "$VM_PID" '.[] | select(.pid == $pid).binary')" = \
		"$(dirname "$(realpath "$QEMU_11")")/usr/bin/qemu-system-x86_64" ]
	# What is configured is the loader and the QEMU that the script has started.
	update_vm
	[ "$(vm_version)" = 11.1 ]
	update_by_ctl --binary "$QEMU_OLD"
	[ "$(vm_version)" = 7.2 ]
	update_vm
	[ "$(vm_version)" = 11.1 ]
	guest_alive
	update_by_ctl --binary "$QEMU_NEW"
	guest_alive
	stop_serial_client
}

@test "updates from and to 11.1 that fail lead back, through its loader too" {
	CPRSHIM_METHOD=exec CPRSHIM_FAULT=load CPRSHIM_BINARY=$QEMU_11 boot_guest -M $MACHINE
	start_serial_client
	for from in 7.2 7.2; do
		fails update_vm
		[ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = failed ]
		[ "$(vm_version)" = "$from" ]
		guest_alive
	done
	stop_serial_client
	end_process "$VM_PID"
	use_qemu 11
	CPRSHIM_METHOD=exec CPRSHIM_FAULT=load boot_guest -M $MACHINE
	start_serial_client
	for binary in "$QEMU_OLD" "$QEMU_11"; do
		fails update_by_ctl --binary "$binary"
		[ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = failed ]
		[ "$(vm_version)" = 11.1 ]
		guest_alive
	done
	stop_serial_client
}

@test "a Linux guest, 7.2 -> 11.1 -> 10.0 -> 11.1 -> 7.2: pings on a tap, a disk being written, RAM" {
	make_netns
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 64M
	boot_linux -M $MACHINE -accel tcg "${TAP_ARGS[@]}" -drive "file=$VM_DIR/disk.qcow2,if=virtio"
	start_serial_client
	start_pinger --rate 200
	to 11 11.1
	to new 10.0
	to 11 11.1
	to old 7.2
	stop_pinger
	send_serial poweroff
	wait_for 20 is_gone "$VM_PID"
	stop_serial_client | tee /dev/stderr | tail -n 1 | jq -e '.problems - ["the connection was closed"] == []'
	qemu-img check -q "$VM_DIR/disk.qcow2"
	grep -aqE ' RAM ok [0-9]+$' "$VM_DIR/serial.log"
	fails grep -aE 'BAD' "$VM_DIR/serial.log"
}

# --- commands ---

@test "taskset, numactl, env, ip netns exec, a shell and a script with a loader: all together and one by one" {
	make_netns
	boot_guest -M $MACHINE "${TAP_ARGS[@]}"
	start_serial_client --rate 100
	start_qmp_client
	update_by_ctl --command taskset -c 0 "$QEMU_NEW"
	[ "$(vm_version)" = 10.0 ]
	[ "$(taskset -pc "$VM_PID" | sed 's/.*: //')" = 0 ]
	guest_alive
	update_by_ctl --command numactl --physcpubind=0 env A=b "$QEMU_OLD"
	guest_alive
	# It is where it was: what a command changes is the process's from then on.
	update_by_ctl --command ip netns exec "$NETNS" sh -c 'echo "started by $0" >&2; exec "$@"' me "$QEMU_11"
	[ "$(vm_version)" = 11.1 ]
	[ "$(readlink "/proc/$VM_PID/ns/net")" = "$(ip netns exec "$NETNS" readlink /proc/self/ns/net)" ]
	grep -q 'started by me' "$VM_LOG"
	guest_alive
	run -0 ctl check "$VM_PID" --command sh -c 'exec "$@"' sh "$QEMU_OLD"
	[[ $output == *"can be updated"* ]]
	update_vm old
	[ "$(vm_version)" = 7.2 ]
	[ "$(tr '\0' '\n' <"/proc/$VM_PID/cmdline" | tail -n 1)" != defer ]
	qmp_goes_on
	stop_qmp_client
	stop_serial_client
}

@test "what a script leaves running has nothing of the VM's, and keeps no memory of it" {
	# The probe runs it, too.
	script replacement "[ -z \"\$CPRSHIM_STATE\" ] || { sleep 600 & echo \$! >'$VM_DIR/child'; }; exec '$QEMU_NEW' \"\$@\""
	boot_guest -M $MACHINE
	start_serial_client
	start_qmp_client
	update_by_ctl --binary "$VM_DIR/replacement"
	local child
	child=$(cat "$VM_DIR/child")
	STARTED+=("$child")
	vm_lives
	# The library, the state, an empty queue, and stdin, stdout and stderr.
	[ "$(find "/proc/$child/fd" -mindepth 1 | wc -l)" -le 6 ]
	fails sh -c "ls -l /proc/$child/fd | grep -E 'cprshim-ram|pipe:'"
	guest_alive
	update_vm old
	guest_alive
	qmp_goes_on
	stop_qmp_client
	stop_serial_client
}

@test "CPRSHIM_BINARY is a script: it is taken anew at each update, and the next one leads back from it" {
	script replacement "exec '$QEMU_NEW' -L /nowhere \"\$@\""
	CPRSHIM_BINARY=$VM_DIR/replacement boot_guest -M $MACHINE
	start_serial_client
	[ "$(ctl status --json "$VM_PID" | jq -r .outdated)" = null ]
	update_vm
	[ "$(vm_version)" = 10.0 ]
	[[ $(tr '\0' ' ' <"/proc/$VM_PID/cmdline") == *' -L /nowhere '* ]]
	script replacement "exec '$QEMU_OLD' \"\$@\""
	update_vm
	[ "$(vm_version)" = 7.2 ]
	[[ $(tr '\0' ' ' <"/proc/$VM_PID/cmdline") != *' -L /nowhere '* ]]
	guest_alive
	stop_serial_client
}

@test "a failed update of a QEMU that came by a command leads back to it, with what the command gave it" {
	script arrive "FOO=bar exec '$QEMU_OLD' -L /nowhere \"\$@\""
	# The second update fails: the first program has it in its environment, the second not.
	script depart "CPRSHIM_FAULT=load exec '$QEMU_NEW' \"\$@\""
	boot_guest -M $MACHINE
	start_serial_client
	update_by_ctl --binary "$VM_DIR/arrive"
	fails update_by_ctl --binary "$VM_DIR/depart"
	[ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = failed ]
	[ "$(vm_version)" = 7.2 ]
	[[ $(tr '\0' ' ' <"/proc/$VM_PID/cmdline") == *' -L /nowhere '* ]]
	tr '\0' '\n' <"/proc/$VM_PID/environ" | grep -qx FOO=bar
	guest_alive
	update_vm new
	guest_alive
	stop_serial_client
}

@test "a command that breaks only when it counts: the guardian brings back the QEMU that ran, through its loader too" {
	script broken '[ -z "$CPRSHIM_STATE" ] || exit 1; exec "$@"'
	use_qemu 11
	boot_guest -M $MACHINE
	local pid=$VM_PID
	fails update_by_ctl --method exec --no-rehearse --command "$VM_DIR/broken" "$QEMU_OLD"
	jq -e '.outcome == "failed"' <<<"$UPDATE_RESULT"
	VM_PID=$(jq -r .pid <<<"$UPDATE_RESULT")
	STARTED+=("$VM_PID")
	[ "$VM_PID" != "$pid" ]
	[ "$(vm_version)" = 11.1 ]
	guest_alive
	update_by_ctl --binary "$QEMU_OLD"
	guest_alive
}

@test "commands that do not end in a QEMU with the shim are refused, each with its sentence" {
	boot_guest -M $MACHINE
	start_serial_client
	refused_command 'true does not end in a QEMU' true
	refused_command 'env does not end in a QEMU' env -i "$QEMU_NEW"
	refused_command 'bash does not end in a QEMU' bash -c 'for i in {3..255}; do eval "exec $i>&-"; done; exec "$0" "$@"' "$QEMU_NEW"
	refused_command 'sh starts QEMU in another process' sh -c '"$0" "$@"; exit' "$QEMU_NEW"
	refused_command 'does not give it its own arguments' sh -c 'exec "$0"' "$QEMU_NEW"
	refused_command 'does not give it its own arguments' sh -c 'exec "$0" "$@" -S' "$QEMU_NEW"
	refused_command 'the command adds -drive' sh -c 'exec "$0" -drive file=x "$@"' "$QEMU_NEW"
	refused_command 'emulates i386, but the guest is x86_64' env "${QEMU_NEW%/*}/qemu-system-i386"
	refused_command 'can be changed by another user' "$(cp "$QEMU_NEW" "$VM_DIR/writable" && chmod 777 "$VM_DIR/writable" && echo "$VM_DIR/writable")"
	update_vm new
	guest_alive
	stop_serial_client
}

# --- where a VM runs ---

# The VM is a child of what was started.
vm_is_child() {
	local child

	child=$(cat "/proc/$VM_PID/task/$VM_PID/children")
	[ -n "$child" ]
	VM_PID=${child%% *}
	STARTED+=("$VM_PID")
}

@test "PID 1 of a PID namespace: by SIGUSR2 and cprctl from outside, and by cprctl inside" {
	VM_WRAPPER=(unshare --pid --mount-proc --fork)
	boot_guest -M $MACHINE
	vm_is_child
	[ "$(awk '/NSpid/ { print $3 }' "/proc/$VM_PID/status")" = 1 ]
	start_serial_client
	run -0 ctl update --binary "$QEMU_NEW" "$VM_PID"
	guest_alive
	run -0 nsenter -t "$VM_PID" -p -m env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --binary "$QEMU_OLD" 1
	guest_alive
	use_qemu new
	kill -USR2 "$VM_PID"
	wait_for 20 runs_new
	ctl history --json "$VM_PID" | jq -e 'length == 3 and all(.outcome == "updated")'
	[ "$(awk '/NSpid/ { print $3 }' "/proc/$VM_PID/status")" = 1 ]
	guest_alive
	stop_serial_client
}

runs_new() {
	[ "$(vm_version)" = 10.0 ]
}

@test "a user without privileges, by a script with a loader, and by a command" {
	# The tree that is tested may lie where this user cannot look.
	mkdir "$VM_DIR/new"
	cp "$SHIM" "$GUEST" "$VM_DIR"
	cp "$QEMU_NEW" "$VM_DIR/new"
	SHIM=$VM_DIR/${SHIM##*/} GUEST=$VM_DIR/${GUEST##*/}
	chown -R nobody "$VM_DIR"
	VM_WRAPPER=(setpriv --reuid nobody --clear-groups --inh-caps=-all)
	boot_guest -M $MACHINE
	start_serial_client
	if setpriv --reuid nobody --clear-groups test -x "$QEMU_11"; then
		to 11 11.1
	fi
	update_by_ctl --command env "QEMU_MODULE_DIR=${QEMU_NEW%/bin/*}/lib/x86_64-linux-gnu/qemu" "$VM_DIR/new/qemu-system-x86_64"
	guest_alive
	to old 7.2
	[ "$(stat -c %U "/proc/$VM_PID")" = nobody ]
	stop_serial_client
}
