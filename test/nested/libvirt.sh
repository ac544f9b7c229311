# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# libvirt.sh - what test/nested.bats has run in the nested guest: libvirtd confined by Debian's AppArmor profiles, which gives each
# VM one of its own, with contrib/apparmor/cprshim added where the administrator is to add it. Says "passed: WHAT".

set -eE
cd /run
# shellcheck source=/dev/null
. "$TEST_DIR/nested/report.sh"
export PATIENCE=10 WAIT_STEP=0.5
# Libvirt's /run is its test's, so this must be elsewhere.
mount -t tmpfs tmp /mnt
export TMPDIR=/mnt
# shellcheck source=/dev/null
. "$TEST_DIR/lib/common.bash"
# shellcheck source=/dev/null
. "$TEST_DIR/lib/network.bash"
# shellcheck source=/dev/null
. "$TEST_DIR/lib/libvirt.bash"

# As Debian's packages have it, at the paths that profiles name.
install_all() {
	mkdir /mnt/usr /mnt/work
	mount -t overlay -o lowerdir=/usr,upperdir=/mnt/usr,workdir=/mnt/work overlay /usr
	cp "$CPRCTL" /usr/bin/cprctl
	cp "$SHIM" /usr/lib/libcprshim.so
	mkdir -p /usr/local/lib/cprshim
	ln -s /usr/bin/cprctl /usr/local/lib/cprshim/qemu-system-x86_64

	cp -r /etc/apparmor.d /mnt/apparmor.d
	cp -r "$NESTED_GUEST/apparmor.d/." /mnt/apparmor.d
	cp "$CPRSHIM_SRCDIR/contrib/apparmor/cprshim" /mnt/apparmor.d/abstractions
	mkdir /mnt/apparmor.d/local/abstractions
	touch /mnt/apparmor.d/local/{abstractions/libvirt-qemu,usr.sbin.libvirtd,usr.lib.libvirt.virt-aa-helper}
	mount --bind /mnt/apparmor.d /etc/apparmor.d
	mount -t securityfs securityfs /sys/kernel/security
}

# allow RULES: what the administrator adds to the profiles of all VMs
allow() {
	printf '%s\n' "$@" >/etc/apparmor.d/local/abstractions/libvirt-qemu
}

# No denial but of what QEMU 10.0 itself would like to know, shim or not.
nothing_denied() { fails grep -v /proc/sys/vm/max_map_count < <(denied "$PROFILE"); }

start_confined() {
	CACHE=writeback BOOT="<kernel>$VM_DIR/guest.elf</kernel><cmdline>kib=64</cmdline>" define_guest
	EXPECTED=pattern-ok start_guest
	PROFILE=libvirt-$(lv domuuid guest)
	profile_is "$PROFILE"
}

guest_goes_on() {
	wait_for 20 has_more_lines pattern-ok $(($(lines pattern-ok) + 3))
	fails grep -a BAD "$VM_DIR/console.link"
	profile_is "$PROFILE"
}

setup_vm_dir
export BATS_FILE_TMPDIR=$VM_DIR
install_all
make_netns
chmod 755 "$VM_DIR"
chown 64055:64055 "$VM_DIR/run"
cp "$GUEST" "$VM_DIR"
# What lies elsewhere in these tests than on a host.
elsewhere="$(realpath "${QEMU_NEW%/usr/bin/*}")/** mrix,"
apparmor_parser --replace --skip-cache /etc/apparmor.d/usr.sbin.libvirtd /etc/apparmor.d/usr.lib.libvirt.virt-aa-helper
allow "include <abstractions/cprshim>" "$elsewhere" "$VM_DIR/run/** rw,"
setup_libvirt lv 'seccomp_sandbox = 0'
[ "$(cat "/proc/$(cat "$LV/run/libvirtd.pid")/attr/current")" = "libvirtd (enforce)" ]

EMULATOR=/usr/local/lib/cprshim/qemu-system-x86_64 ENVIRONMENT="<qemu:env name='CPRSHIM_FAULT' value='load@1'/>" start_confined
update_by_ctl --binary "$QEMU_NEW"
jq -e '.method == "relay"' <<<"$UPDATE_RESULT"
monitor_answers 10.0
guest_goes_on
update_fails "$QEMU_OLD" 'called exit|was not loaded'
monitor_answers 10.0
guest_goes_on
use_qemu old
update_vm
monitor_answers 7.2
guest_goes_on
stop_libvirtd
start_libvirtd
[ "$(lv domstate guest)" = running ]
nothing_denied
lv destroy guest
lv undefine guest
passed "a domain that libvirt confines, with contrib/apparmor/cprshim: updates, and the way back, with nothing denied"

# Where that was forgotten.
allow "$VM_DIR/run/** rw,"
EMULATOR=/usr/bin/qemu-system-x86_64 ENVIRONMENT="<qemu:env name='LD_PRELOAD' value='libcprshim.so'/>" start_confined
LOG=$LV/log/libvirt/qemu/guest.log
# Even its own label it may not read.
grep "cannot be updated: Permission denied; a security module confines this VM, AppArmor or SELinux" "$LOG"
fails ctl update "$VM_PID" >"$VM_DIR/update.out" 2>&1
grep 'cannot be updated: its log and cprctl status say why' "$VM_DIR/update.out"
kill -USR2 "$VM_PID"
wait_for 10 grep -q 'SIGUSR2 is ignored' "$LOG"
monitor_answers 7.2
guest_goes_on
lv destroy guest
passed "without it the VM runs as ever, says that AppArmor keeps it from updates, and lives through SIGUSR2"
