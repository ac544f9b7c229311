#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# fleet.bats - all VMs of a host at once: which are outdated, updating them, figures for monitoring.
#
# cprctl sees every VM of the machine. Each test's have their sockets in a directory of their own, and it is told so: VMs of other
# tests must not be touched.

bats_require_minimum_version 1.5.0

load lib/common

setup() {
	setup_vm_dir
	declare -gA PIDS=()
}

teardown() { teardown_vm_dir; }

# boot NAME [QEMU ARGUMENTS]: one VM of several; its PID is in PIDS[NAME]
boot() {
	local name=$1

	shift
	VM_QMP=$VM_DIR/$name-qmp.sock
	VM_CTL=$VM_DIR/$name-ctl.sock
	VM_SERIAL=$VM_DIR/$name-serial.sock
	boot_guest -M pc-q35-7.2 -name "$name" -pidfile "$VM_DIR/$name.pid" "$@"
	PIDS[$name]=$VM_PID
}

# row NAME: what list tells of it
row() {
	ctl list --json | jq --argjson pid "${PIDS[$1]}" '.[] | select(.pid == $pid)'
}

# text_row NAME: the same for people
text_row() {
	ctl list | grep "^${PIDS[$1]} "
}

# put FILE PATH: as a package manager does, by renaming
put() {
	cp "$1" "$2.new"
	mv "$2.new" "$2"
}

# install BINARY [TREE]: as a package of QEMU's in the directory of this test, with the modules and firmware of that tree
install() {
	local tree=${2:-${1%/bin/*}}

	mkdir -p "$VM_DIR/usr/bin"
	ln -sfn "$tree/lib" "$VM_DIR/usr/lib"
	ln -sfn "$tree/share" "$VM_DIR/usr/share"
	put "$1" "$VM_DIR/usr/bin/qemu-system-x86_64"
}

# other_build FILE TO: the same with another build id
other_build() {
	local id

	id=$(readelf -n "$1" 2>/dev/null | sed -n 's/.*Build ID: //p')
	python3 - "$1" "$2" "$id" <<-'END'
		import sys
		data = open(sys.argv[1], "rb").read()
		at = bytes.fromhex(sys.argv[3])
		assert data.count(at) == 1
		open(sys.argv[2], "wb").write(data.replace(at, at[::-1]))
	END
}

@test "list: a VM whose binary was replaced on disk is outdated, with both versions; by the same build it is not" {
	local version

	install "$QEMU_OLD"
	use_qemu "$VM_DIR/usr/bin/qemu-system-x86_64"
	boot one
	row one | jq -e '.outdated == false and .available == null and .changed == [] and (.package | startswith("Debian"))'
	install "$QEMU_OLD"
	row one | jq -e '.outdated == false'
	install "$QEMU_NEW"
	version=$("$QEMU_NEW" --version | sed -n 's/QEMU emulator version \([^ ]*\) (\(.*\))/\1 \2/p')
	row one | jq -e --arg version "$version" '.outdated == true and "\(.available.version) \(.available.package)" == $version and
		(.version | startswith("7.2.")) and .available.build_id != null'
	text_row one | grep -E " one +7\.2\.[0-9]+ +yes +${version%% *} "
	ctl list --outdated | grep "^$VM_PID "
	update_vm
	row one | jq -e '.outdated == false'
	fails grep "^$VM_PID " <(ctl list --outdated)
	# The same version of QEMU's in another package: then the package's is shown.
	other_build "$QEMU_NEW" "$VM_DIR/other"
	put "$VM_DIR/other" "$VM_DIR/usr/bin/qemu-system-x86_64"
	text_row one | grep -F "${version%% *} (${version#* })  yes       ${version%% *} (${version#* })"
	# Gone altogether: there is nothing that it could be updated to.
	rm "$VM_DIR/usr/bin/qemu-system-x86_64"
	row one | jq -e '.outdated == true and .available.version == null'
}

@test "list: a VM whose library was replaced on disk is outdated, also where another name stands in its place; the shim's own is not" {
	local library

	mkdir "$VM_DIR/lib"
	library=$(ldd "$QEMU_OLD" | sed -n 's/.*libpixman-1.so.0 => \([^ ]*\).*/\1/p')
	cp "$library" "$VM_DIR/lib/libpixman-1.so.0.1"
	ln -s libpixman-1.so.0.1 "$VM_DIR/lib/libpixman-1.so.0"
	cp "$SHIM" "$VM_DIR/lib/libcprshim.so"
	LD_LIBRARY_PATH=$VM_DIR/lib SHIM=$VM_DIR/lib/libcprshim.so boot one
	grep -q "$VM_DIR/lib/libpixman" "/proc/$VM_PID/maps"
	other_build "$SHIM" "$VM_DIR/other"
	put "$VM_DIR/other" "$VM_DIR/lib/libcprshim.so"
	put "$library" "$VM_DIR/lib/libpixman-1.so.0.1"
	row one | jq -e '.outdated == false and .changed == []'
	other_build "$library" "$VM_DIR/other"
	put "$VM_DIR/other" "$VM_DIR/lib/libpixman-1.so.0.1"
	row one | jq -e --arg path "$VM_DIR/lib/libpixman-1.so.0.1" '.outdated == true and .available == null and
		[.changed[].path, .changed[].now] == [$path, $path] and .changed[0].build_id_now != .changed[0].build_id'
	text_row one | grep -qF "replaced on disk: $VM_DIR/lib/libpixman-1.so.0.1"
	# As with a library that has its version in its name.
	mv "$VM_DIR/lib/libpixman-1.so.0.1" "$VM_DIR/lib/libpixman-1.so.0.2"
	ln -sfn libpixman-1.so.0.2 "$VM_DIR/lib/libpixman-1.so.0"
	row one | jq -e --arg path "$VM_DIR/lib/libpixman-1.so.0.2" '.outdated == true and .changed[0].now == $path'
	update_vm
	row one | jq -e '.outdated == false and .changed == []'
}

@test "list: a VM in a mount namespace of its own is compared with what is on disk there" {
	install "$QEMU_OLD"
	cp "$QEMU_NEW" "$VM_DIR/new"
	use_qemu "$VM_DIR/usr/bin/qemu-system-x86_64"
	# shellcheck disable=SC2016 # the inner shell expands it
	VM_WRAPPER=(unshare -m sh -c 'mount -t tmpfs none "$0" && cp "$1" "$0/qemu-system-x86_64" && shift && exec "$@"' "$VM_DIR/usr/bin" "$QEMU_OLD")
	boot one
	install "$QEMU_NEW"
	row one | jq -e '.outdated == false'
	nsenter -m -t "$VM_PID" -- mv "$VM_DIR/new" "$VM_DIR/usr/bin/qemu-system-x86_64"
	row one | jq -e '.outdated == true and (.available.version | startswith("10."))'
}
