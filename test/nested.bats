#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# nested.bats - what the machine's own kernel may lack, for real, in a guest that has it (test/nested/kernel.sh).

load lib/common
load lib/nested

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

# One boot for all of it: it takes longer than most of its parts.
@test "vhost-net, vhost-vsock and vsock lines through every kind of update, VFIO refused, two NUMA nodes, cgroups, AppArmor: on a real kernel" {
	nested_run "$TEST_DIR/nested/kernel.sh" 1200 "$VM_DIR/nested.log"
}

@test "libvirt's VMs under AppArmor, each with a profile of its own: updated with contrib/apparmor/cprshim, unharmed without" {
	nested_run "$TEST_DIR/nested/libvirt.sh" 900 "$VM_DIR/nested.log"
}
