# SPDX-License-Identifier: LGPL-2.1-or-later
# targets.bats - machines other than q35, and guests of other processors: QEMU 7.2 and 10.0, up and down, with a guest that counts by its
# own clock (test/guest/target.c) and checks its RAM.

bats_require_minimum_version 1.5.0

load lib/common

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

# A machine type that 7.2, 10.0 and 11.1 know.
MACHINE=pc-q35-7.2
TARGETS_10=${CPRSHIM_TARGETS10:-$CPRSHIM_BUILDDIR/targets-10.0/usr/bin}

# boot_target QEMU ARGUMENTS...: with what a firmware prints before the guest's first line passed over.
boot_target() {
	local target=${1##*-}

	use_qemu "$1"
	shift
	start_vm -m 512 -nodefaults -kernel "$CPRSHIM_BUILDDIR/test/guest/guest-$target.elf" "$@"
	wait_for 60 wait_for_guest 3
	start_serial_client
}

# updates_to QEMU...: and no line is lost or doubled.
updates_to() {
	local to

	for to in "$@"; do
		update_vm "$to"
		guest_alive
	done
}

# refuses VERSION QEMU: before the guest is touched.
refuses() {
	fails update_vm "$2"
	jq -e --arg version "$1" '.outcome == "refused" and (.reasons | length == 1) and
		(.reasons[0] | test("state of QEMU [0-9.]+ cannot be loaded by QEMU " + $version))' <<<"$UPDATE_RESULT"
	guest_alive
}

# same_version TARGET ARGUMENTS...: from one version to the same; the other is refused, since its own migration fails too.
same_version() {
	local target=$1 old=${QEMU_OLD%/*}/qemu-system-$1 new=$TARGETS_10/qemu-system-$1

	shift
	boot_target "$old" "$@"
	updates_to "$old" "$old"
	refuses 10.0 "$new"
	update_vm "$old"
	stop_serial_client
	end_process "$VM_PID"
	boot_target "$new" "$@"
	updates_to "$new" "$new"
	stop_serial_client
}

@test "s390x, s390-ccw-virtio: 7.2 to 10.0 and back, twice" {
	local old=${QEMU_OLD%/*}/qemu-system-s390x new=$TARGETS_10/qemu-system-s390x

	boot_target "$old" -M s390-ccw-virtio -smp 2 -device virtio-rng-ccw
	updates_to "$new" "$old" "$new" "$old"
	stop_serial_client
}

@test "aarch64, virt" {
	same_version aarch64 -M virt -cpu cortex-a57 -smp 2 -device virtio-rng-pci -device qemu-xhci
}

@test "ppc64, pseries" {
	same_version ppc64 -M pseries -device virtio-rng-pci
}

@test "riscv64, virt" {
	same_version riscv64 -M virt -device virtio-rng-pci
}

@test "x86_64, pc: 7.2 to 10.0, 11.1 and back" {
	boot_guest -M pc-i440fx-7.2 -device virtio-rng-pci
	start_serial_client
	updates_to new 11 old 11 new old
	stop_serial_client
}

@test "x86_64, microvm: 7.2 to 10.0, 11.1 and back" {
	GUEST=$CPRSHIM_BUILDDIR/test/guest/guest-pvh.elf
	# This machine type has no versions: which firmware it gets by itself, and of which size, is each version's own.
	boot_guest -M microvm -device virtio-rng-device -bios /usr/share/qemu/bios-microvm.bin
	start_serial_client
	updates_to new 11 old 11 new old
	stop_serial_client
}

# --- UEFI ---

# Whose variables they are; the shell's default takes known ones only.
GUID=11111111-2222-3333-4444-555555555555

# shell COMMAND TEXT: a line for the UEFI shell, and what it answers, after what it shows of the line itself.
shell() {
	local before

	before=$(link_count uefi "$2")
	send_link uefi "$1\r"
	wait_for 30 more_lines "$before" "$2"
}

more_lines() {
	[ "$(link_count uefi "$2")" -gt "$1" ]
}

# holds NAME TEXT: the variables' file has it, as UEFI writes it.
holds() {
	grep -qaP "$(echo -n "$1" | sed 's/./&\\x00/g')\\x00\\x00.*$(echo -n "$2" | sed 's/./&\\x00/g')" "$VM_DIR/vars.fd"
}

@test "x86_64, q35 with OVMF: code and variables in flash, written before, between and after updates" {
	cp /usr/share/OVMF/OVMF_VARS_4M.fd "$VM_DIR/vars.fd"
	start_vm -M $MACHINE -nodefaults -m 256 \
		-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
		-drive "if=pflash,format=raw,file=$VM_DIR/vars.fd"
	start_link uefi "$VM_SERIAL"
	wait_link 90 uefi 'Shell> '
	shell "setvar before -guid $GUID -nv -bs =L\"yesterday\"" 'Shell> '
	wait_for 10 holds before yesterday
	update_vm new
	shell "setvar between -guid $GUID -nv -bs =L\"today\"" 'Shell> '
	wait_for 10 holds between today
	shell "setvar before -guid $GUID" '79 00 65 00 73 00 74 00'
	update_vm 11
	shell "setvar before -guid $GUID" '79 00 65 00 73 00 74 00'
	update_vm old
	shell "setvar after -guid $GUID -nv -bs =L\"tomorrow\"" 'Shell> '
	wait_for 10 holds after tomorrow
	holds before yesterday
	holds between today
	shell "setvar between -guid $GUID" '74 00 6F 00 64 00 61 00'
	# A firmware that is started anew finds them, too.
	vm_ctl system_reset
	wait_for 90 more_lines "$(link_count uefi 'UEFI Interactive Shell')" 'UEFI Interactive Shell'
	wait_for 30 more_lines "$(link_count uefi 'Shell> ')" 'Shell> '
	shell "setvar after -guid $GUID" '74 00 6F 00 6D 00 6F 00'
}
