# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034 # common.bash reads VM_WRAPPER
# confined.sh - parts of kernel.sh: VMs in cgroups of version 2, and under AppArmor with contrib/apparmor/cprshim.

# refused_for CODE PATTERN: the update is refused for that alone, and the guest goes on.
refused_for() {
	fails update_by_ctl --binary "$QEMU_NEW"
	jq -e --arg code "$1" --arg pattern "$2" '.outcome == "refused" and [.blockers[].code] == [$code] and
		(.reasons[0] | test($pattern))' <<<"$UPDATE_RESULT" >/dev/null
	vm_runs old
	guest_alive
}

# --- cgroups ---

# in_use DIRECTORY: bytes, without what the kernel would take back
in_use() {
	awk 'FILENAME ~ /current$/ { sum = $1 } $1 == "file" { sum -= $2 } $1 == "shmem" { sum += $2 } END { print sum }' \
		"$1/memory.current" "$1/memory.stat"
}

with_cgroups() {
	local slice=/sys/fs/cgroup/machine.slice scope=/sys/fs/cgroup/machine.slice/vm.scope need

	setup_vm_dir
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	echo '+memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
	mkdir "$slice"
	echo '+memory +pids' >"$slice/cgroup.subtree_control"
	mkdir "$scope"
	VM_WRAPPER=(sh -c "echo \$\$ >$scope/cgroup.procs; exec \"\$@\"" -)
	boot_guest -M pc-q35-7.2 -accel tcg -m 64
	echo $(($(cat "$scope/pids.current") + 2)) >"$scope/pids.max"
	refused_for cgroup-pids "threads, and $scope/pids.max leaves 2:"
	echo max >"$scope/pids.max"
	# One above it counts as well.
	echo $(($(in_use "$slice") + (16 << 20))) >"$slice/memory.max"
	refused_for cgroup-memory "MiB, and $slice/memory.max leaves [0-9]+ MiB:"
	need=$(jq -r '.reasons[0]' <<<"$UPDATE_RESULT" | sed -nE 's/.*may need ([0-9]+) MiB.*/\1/p')
	# What it says that it needs is enough; QEMU itself takes a little more all the time.
	echo $(($(in_use "$slice") + ((need + 32) << 20))) >"$slice/memory.max"
	update_vm new
	vm_runs new
	guest_alive
	grep -qx 'oom_kill 0' "$slice/memory.events"
	[ "$(cat "/proc/$VM_PID"/task/*/cgroup | sort -u)" = 0::/machine.slice/vm.scope ]
	teardown_vm_dir
	passed "cgroups of version 2: no room for threads or memory is named, with room the VM is updated and stays there"
}

# --- AppArmor ---

# make_profile NAME RULES: what a QEMU needs with or without the shim, what lies elsewhere in these tests, and RULES.
make_profile() {
	cat >"$VM_DIR/$1.profile" <<-END
		#include <tunables/global>
		profile $1 flags=(attach_disconnected) {
		  network,
		  capability dac_override,
		  @{PROC}/{filesystems,stat} r,
		  @{PROC}/@{pid}/mounts r,
		  @{PROC}/sys/vm/max_map_count r,
		  @{sys}/devices/system/** r,
		  signal (receive) set=(term, kill) peer=unconfined,
		  /usr/bin/env mrix,
		  /usr/{lib,share}/** mr,
		  /etc/** r,
		  /dev/** rw,
		  ${QEMU_NEW%/usr/bin/*}/** mr,
		  $QEMU_OLD mrix,
		  $GUEST r,
		  $SHIM mr,
		  $VM_DIR/** rwk,
		  $2
		}
	END
	apparmor_parser --replace --skip-cache "$VM_DIR/$1.profile"
}

with_apparmor() {
	local pid

	setup_vm_dir
	mount -t securityfs securityfs /sys/kernel/security
	make_profile cprshim-vm "#include \"$CPRSHIM_SRCDIR/contrib/apparmor/cprshim\"
		  $QEMU_NEW mrix,"
	VM_WRAPPER=(aa-exec -p cprshim-vm --)
	CPRSHIM_FAULT=load@1,load:kill@2 boot_guest -M pc-q35-7.2 -accel tcg -m 64
	profile_is cprshim-vm
	update_vm new
	vm_runs new
	profile_is cprshim-vm
	guest_alive
	update_fails "$QEMU_OLD" 'called exit|was not loaded'
	profile_is cprshim-vm
	pid=$VM_PID
	update_fails "$QEMU_OLD" 'was killed'
	VM_PID=$(jq -r .pid <<<"$UPDATE_RESULT")
	[ "$VM_PID" != "$pid" ]
	STARTED+=("$VM_PID")
	vm_runs new
	profile_is cprshim-vm
	guest_alive
	update_by_ctl --binary "$QEMU_OLD"
	profile_is cprshim-vm
	fails denied cprshim-vm
	teardown_vm_dir
	passed "under AppArmor with contrib/apparmor/cprshim: updates, and both ways back, with nothing denied"

	setup_vm_dir
	make_profile cprshim-new "#include \"$CPRSHIM_SRCDIR/contrib/apparmor/cprshim\""
	VM_WRAPPER=(aa-exec -p cprshim-new --)
	boot_guest -M pc-q35-7.2 -accel tcg -m 64
	refused_for probe-failed 'AppArmor confines this VM by the profile cprshim-new'
	update_by_ctl --binary "$QEMU_OLD"
	guest_alive
	teardown_vm_dir
	passed "a replacement that the profile does not allow is refused, and AppArmor named"
}
