# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# libvirtd of the machine's own, with virtlogd, in a mount namespace where /run, /var and /etc/libvirt are the test's: nothing of
# the machine's libvirt is touched, and two of them do not meet; they migrate VMs to a host of another name only. What QEMUs can do,
# which takes some seconds to find out, is kept for the next test. Loaded after lib/common and lib/network.

# use_libvirt [NAME]: which of them host(), virsh() and the rest are about.
use_libvirt() {
	LV=$VM_DIR/${1:-lv}
	CONNECT="qemu+unix:///system?socket=$LV/run/libvirt/libvirt-sock"
}

# setup_libvirt NAME [LINE OF qemu.conf]...: a host's directories, and its daemons.
setup_libvirt() {
	use_libvirt "$1"
	shift
	mkdir -p "$LV/run/lock" "$LV/lib" "$LV/log/libvirt/qemu" "$LV/etc" "$BATS_FILE_TMPDIR/cache/libvirt"
	# Debian's packages make this user.
	(cat /etc/passwd && echo "libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin") >"$LV/passwd"
	(cat /etc/group && echo "libvirt-qemu:x:64055:") >"$LV/group"
	printf 'auth_unix_rw = "none"\nhost_uuid = "%s"\n' "$(cat /proc/sys/kernel/random/uuid)" >"$LV/etc/libvirtd.conf"
	printf '%s\n' 'user = "libvirt-qemu"' 'group = "libvirt-qemu"' "$@" >"$LV/etc/qemu.conf"
	# Of the machine's own it may be that root alone can open it.
	[ ! -e /dev/kvm ] || mknod -m 666 "$LV/kvm" c 10 232
	on_host "$LV" virtlogd
	wait_for 10 test -S "$LV/run/libvirt/virtlogd-sock"
	start_libvirtd
}

# on_host DIR COMMAND...: in the namespaces of that host; "ip netns exec" would hide the cgroups. Of all QEMUs, each of which
# libvirtd asks what it can do, it finds one.
on_host() {
	start_background "$VM_DIR/${2##*/}.log" nsenter "--net=/run/netns/$NETNS" unshare --mount --uts sh -c 'host=$1 cache=$2
		shift 2
		hostname "${host##*/}" && { [ ! -e "$host/kvm" ] || mount --bind "$host/kvm" /dev/kvm; } &&
			mount --bind "$host/run" /run && mount --bind "$host/lib" /var/lib && mount --bind "$host/log" /var/log &&
			mount --bind "$cache" /var/cache && mount --bind "$host/etc" /etc/libvirt &&
			mount --bind "$host/passwd" /etc/passwd && mount --bind "$host/group" /etc/group && exec "$@"' sh "$1" \
		"$BATS_FILE_TMPDIR/cache" "$TOOLS/init.py" env "PATH=$VM_DIR/bin:/usr/sbin" "${@:2}"
}

start_libvirtd() {
	rm -f "$LV/run/libvirtd.pid"
	on_host "$LV" libvirtd
	wait_for 20 lv_is_there
}

# stop_libvirtd: it alone; its VMs are left to themselves.
stop_libvirtd() {
	end_process "$(cat "$LV/run/libvirtd.pid")"
}

lv_is_there() { timeout 2 virsh --quiet --connect "$CONNECT" list; }

# lv COMMAND...: of virsh.
lv() {
	timeout 120 virsh --quiet --connect "$CONNECT" "$@"
}

# Where it cannot look, libvirt-qemu can run nothing: the tree that is tested may lie anywhere.
copy_for_libvirt() {
	chmod 755 "$VM_DIR"
	mkdir -p "$VM_DIR/bin" "$VM_DIR/lib" "$VM_DIR/new"
	cp "$CPRCTL" "$VM_DIR/bin/cprctl"
	ln -s cprctl "$VM_DIR/bin/qemu-system-x86_64"
	cp "$SHIM" "$VM_DIR/lib"
	cp -r "${QEMU_NEW%/bin/*}/." "$VM_DIR/new"
	cp "$LINUX_GUEST/vmlinuz" "$LINUX_GUEST/initrd.gz" "$GUEST" "$VM_DIR"
	chown 64055:64055 "$VM_DIR/run"
	QEMU_NEW=$VM_DIR/new/bin/qemu-system-x86_64
}

# define_guest [ELEMENTS OF devices]: "guest", the Linux one or what the elements BOOT start, by the wrapper or EMULATOR, with
# ENVIRONMENT as elements, its disk opened as CACHE says, of TYPE qemu, which is TCG, or kvm; SIGUSR2 updates it to
# $VM_DIR/qemu-system-x86_64.
define_guest() {
	local linux="<kernel>$VM_DIR/vmlinuz</kernel><initrd>$VM_DIR/initrd.gz</initrd>
		<cmdline>console=ttyS0 quiet ${LINUX_APPEND:-}</cmdline>"

	cat >"$VM_DIR/guest.xml" <<-END
		<domain type='${TYPE:-qemu}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
		  <name>guest</name>
		  <memory unit='MiB'>384</memory>
		  <vcpu placement='static'>2</vcpu>
		  <iothreads>1</iothreads>
		  <os>
		    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
		    ${BOOT:-$linux}
		  </os>
		  <features><acpi/></features>
		  <devices>
		    <emulator>${EMULATOR:-$VM_DIR/bin/qemu-system-x86_64}</emulator>
		    <disk type='file' device='disk'>
		      <driver name='qemu' type='qcow2' cache='${CACHE:-none}' iothread='1'/>
		      <source file='$VM_DIR/disk.qcow2'/>
		      <target dev='vda' bus='virtio'/>
		    </disk>
		    <serial type='pty'/>
		    <controller type='pci' model='pcie-root'/>
		    $(printf "<controller type='pci' model='pcie-root-port'/>%.0s" 1 2 3 4 5 6 7 8)
		    <memballoon model='virtio'/>
		    ${1:-}
		  </devices>
		  <qemu:commandline>
		    ${ENVIRONMENT:-}
		    <qemu:env name='CPRSHIM_RUNDIR' value='$VM_DIR/run'/>
		    <qemu:env name='CPRSHIM_LOG' value='info'/>
		    <qemu:env name='CPRSHIM_BINARY' value='$VM_DIR/qemu-system-x86_64'/>
		  </qemu:commandline>
		</domain>
	END
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 64M
	lv define "$VM_DIR/guest.xml"
}

# start_guest: and a console of virsh's, on which EXPECTED must come
start_guest() {
	lv start guest
	find_guest
	attach_console
	wait_link 60 console "${EXPECTED:-RAM ok }"
}

# attach_console: its log is $VM_DIR/console.link, which begins anew.
attach_console() {
	rm -f "$VM_DIR/console.link"
	start_link console -- virsh --connect "$CONNECT" console guest --force
}

find_guest() {
	VM_PID=$(cat "$LV/run/libvirt/qemu/guest.pid")
	STARTED+=("$VM_PID")
}

# lines PATTERN: how many have come on the console
lines() { grep -acE "$1" "$VM_DIR/console.link" || true; }
has_more_lines() { [ "$(lines "$1")" -gt "$2" ]; }

# console_goes_on: the guest counts, checks its memory and writes its disk; no line is missing, doubled or broken.
console_goes_on() {
	local what

	for what in '^C ' '^DISK ok '; do
		wait_for 20 has_more_lines "$what" $(($(lines "$what") + 1))
	done
	grep -a '^C ' "$VM_DIR/console.link" | sed '$d' | awk '
		NR > 1 && $2 != last + 1 { print "console: " last " was followed by " $2; bad = 1 }
		{ last = $2 }
		END { exit bad || !NR }'
	fails grep -aE 'BAD' "$VM_DIR/console.link"
}

# monitor_answers VERSION: libvirtd's own connection, which it never made anew, leads to that QEMU.
monitor_answers() {
	lv qemu-monitor-command guest '{"execute": "query-version"}' |
		jq -e --arg want "$1" '"\(.return.qemu.major).\(.return.qemu.minor)" == $want'
}
