#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# package.bats - what is installed: Debian's package, built as distributed and tried in a Debian that has nothing else of ours, an RPM,
# and "make install".

bats_require_minimum_version 1.5.0

load lib/common
. "$CPRSHIM_SRCDIR/scripts/lib.sh"

# They stay on one QEMU: what changes under the VM is the package.
setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

TREE=cprshim
ROOT=$BATS_FILE_TMPDIR/root

# What the make around us was told is not for packages.
plain_make() { env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$@"; }

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	plain_make make -s -C "$CPRSHIM_BUILDDIR" distdir distdir="$BATS_FILE_TMPDIR/$TREE" >distdir.log
	cp -r "$TREE" pristine
	(cd "$TREE" && DEB_BUILD_OPTIONS="nocheck parallel=$(nproc)" plain_make dpkg-buildpackage -b -us -uc) >deb.log 2>&1 || {
		tail -n 30 deb.log
		return 1
	}
}

package() { echo "$BATS_FILE_TMPDIR"/cprshim_*.deb; }

# with_root COMMAND...: in the Debian of this file, where processes and the test's directory are seen as outside.
with_root() { "${IN_ROOT[@]}" "$@"; }

make_root() {
	[ -e "$ROOT" ] || debootstrap --variant=minbase --include=qemu-system-x86,libjansson4 bookworm "$ROOT" "$(debian_mirror)" \
		>"$VM_DIR/debootstrap.log" 2>&1 || {
		# The mirror's address is nobody's business.
		sed -i -E 's,[a-z+]+://[^ ]*,(mirror),g' "$VM_DIR/debootstrap.log"
		return 1
	}
	mkdir -p "$ROOT$VM_DIR"
	IN_ROOT=(unshare --mount sh -c 'root=$1 dir=$2
		shift 2
		mount -t proc proc "$root/proc" && mount --bind "$dir" "$root$dir" && exec chroot "$root" "$@"' sh "$ROOT" "$VM_DIR")
}

# What dpkg and ld.so keep about the packages that there are is left out.
files_in_root() {
	(cd "$ROOT" && find . -path ./proc -prune -o -path ./var/lib/dpkg -prune -o -path ./var/log -prune -o -print | sort)
}

version() { sed -n 's/^AC_INIT(\[cprshim\], \[\(.*\)\])/\1/p' "$CPRSHIM_SRCDIR/configure.ac"; }

@test "Debian's package: no word from lintian, this version, and the files that are needed" {
	lintian --allow-root --fail-on error,warning "$BATS_FILE_TMPDIR"/cprshim_*.changes
	[ "$(dpkg-deb --field "$(package)" Version)" = "$(version)" ]
	dpkg-deb --fsys-tarfile "$(package)" | tar -t | grep -v '/$' | grep -vE '^./usr/share/(doc|lintian)/' | sort >"$VM_DIR/files"
	diff - "$VM_DIR/files" <<-END
		./etc/apparmor.d/abstractions/cprshim
		./etc/apt/apt.conf.d/apt-cprshim.conf
		./lib/systemd/system/cprshim-vm@.service
		./usr/bin/cprctl
		./usr/lib/x86_64-linux-gnu/cprshim/disasm.so
		./usr/lib/x86_64-linux-gnu/libcprshim.so
		./usr/share/bash-completion/completions/cprctl
		./usr/share/man/man1/cprctl.1.gz
		./usr/share/man/man5/cprshim.conf.5.gz
		./usr/share/man/man7/cprshim.7.gz
		./usr/share/man/man7/libcprshim.7.gz
	END
}

@test "in a clean Debian: preloaded by name; replaced, removed and purged while a VM runs, which goes on and is updated; nothing stays" {
	make_root
	cp "$GUEST" "$(package)" "$VM_DIR"
	files_in_root >"$VM_DIR/before"
	with_root dpkg -i "$VM_DIR/$(basename "$(package)")"
	[ "$(with_root cprctl --version)" = "cprctl $(version)" ]

	VM_WRAPPER=("${IN_ROOT[@]}")
	use_qemu /usr/bin/qemu-system-x86_64
	SHIM=libcprshim.so GUEST=$VM_DIR/guest.elf boot_guest -M pc-q35-7.2
	start_serial_client
	grep -q '/usr/lib/x86_64-linux-gnu/libcprshim.so$' "/proc/$VM_PID/maps"
	with_root env "CPRSHIM_RUNDIR=$VM_DIR/run" cprctl check "$VM_PID"
	update_vm

	# The next package's library does not understand what this VM's own writes.
	dpkg-deb -R "$(package)" "$VM_DIR/next"
	# Its soname is changed as well: ldconfig makes a link of that name.
	sed 's/strangeshim\.so/libcprshim.so\x00/' "$CPRSHIM_BUILDDIR/test/programs/.libs/strangeshim.so" \
		>"$VM_DIR/next/usr/lib/x86_64-linux-gnu/libcprshim.so"
	sed -i 's/^Version: .*/&+next/' "$VM_DIR/next/DEBIAN/control"
	dpkg-deb -b "$VM_DIR/next" "$VM_DIR/next.deb"
	with_root dpkg -i "$VM_DIR/next.deb"
	update_vm
	guest_alive

	with_root dpkg --remove cprshim
	[ ! -e "$ROOT/usr/lib/x86_64-linux-gnu/libcprshim.so" ]
	update_vm
	guest_alive
	with_root dpkg --purge cprshim
	update_vm
	guest_alive
	stop_serial_client

	files_in_root | diff "$VM_DIR/before" -
	fails with_root dpkg -s cprshim
	[ -z "$(find "$ROOT/var/lib/dpkg" -name 'cprshim*')" ]
}

# apt_get ARGUMENTS...: in the root; what it says is in $VM_DIR/apt.log, without the mirror's address, which is nobody's business.
apt_get() {
	with_root env DEBIAN_FRONTEND=noninteractive "CPRSHIM_RUNDIR=$VM_DIR/run" apt-get -y -o APT::Sandbox::User=root "$@" 2>&1 |
		sed -E 's,[a-z+]+://[^ ]*,(mirror),g' >"$VM_DIR/apt.log"
	return "${PIPESTATUS[0]}"
}

@test "apt upgrades QEMU under a VM: that is listed, with both versions; or updated, where cprshim.conf says so" {
	make_root
	cp "$GUEST" "$(package)" "$VM_DIR"
	with_root dpkg -i "$VM_DIR/$(basename "$(package)")"
	VM_WRAPPER=("${IN_ROOT[@]}")
	use_qemu /usr/bin/qemu-system-x86_64
	SHIM=libcprshim.so GUEST=$VM_DIR/guest.elf boot_guest -M pc-q35-7.2
	start_serial_client
	[ "$(vm_version)" = 7.2 ]

	(umask 077 && echo "deb $(debian_mirror) bookworm-backports main" >"$ROOT/etc/apt/sources.list.d/backports.list")
	apt_get update
	apt_get install --no-install-recommends -t bookworm-backports qemu-system-x86
	grep -A 2 'than are on disk now: 1$' "$VM_DIR/apt.log" | grep "^$VM_PID .*7[.]2.* yes .*10[.]0.* /.*replaced on disk"
	grep -qxF 'To update them: cprctl update --all --outdated' "$VM_DIR/apt.log"
	[ "$(update_history)" = '[]' ]
	[ "$(vm_version)" = 7.2 ]
	guest_alive

	# The next upgrade, of whatever it is.
	echo 'update-on-upgrade yes' >"$ROOT/etc/cprshim.conf"
	apt_get install --reinstall qemu-system-common
	grep "^\[1/1\] $VM_PID .*updated from 7[.]2.* to 10[.]0" "$VM_DIR/apt.log"
	[ "$(vm_version)" = 10.0 ]
	guest_alive
	apt_get install --reinstall qemu-system-common
	fails grep -E 'than are on disk|updated' "$VM_DIR/apt.log"
	stop_serial_client
}

@test "an RPM: its description leads to the same files" {
	local top=$VM_DIR/rpm

	mkdir -p "$top/SOURCES"
	[ "$(rpmspec -q --qf '%{VERSION}' "$CPRSHIM_SRCDIR/cprshim.spec")" = "$(version)" ]
	tar -C "$BATS_FILE_TMPDIR" -cJf "$top/SOURCES/cprshim-$(version).tar.xz" --transform "s,^pristine,cprshim-$(version)," pristine
	# dpkg knows what there is, and rpm does not.
	plain_make rpmbuild --quiet --nodeps --nocheck --with capstone --define "_topdir $top" -bb "$CPRSHIM_SRCDIR/cprshim.spec" \
		>"$VM_DIR/rpm.log" 2>&1
	rpm -qpl "$top"/RPMS/x86_64/cprshim-[0-9]*.rpm 2>/dev/null | grep -vE '^/usr/(share/doc|share/licenses|lib/.build-id)' | sed 's/\.gz$//' | sort >"$VM_DIR/files"
	diff - "$VM_DIR/files" <<-END
		/usr/bin/cprctl
		/usr/lib64/cprshim
		/usr/lib64/cprshim/disasm.so
		/usr/lib64/libcprshim.so
		/usr/share/bash-completion/completions/cprctl
		/usr/share/man/man1/cprctl.1
		/usr/share/man/man5/cprshim.conf.5
		/usr/share/man/man7/cprshim.7
		/usr/share/man/man7/libcprshim.7
	END
}

@test "make install and make uninstall: what was there stays, and nothing else; a VM finds the library where ld.so looks for it" {
	local dest=$VM_DIR/dest lib

	mkdir -p "$dest/usr/local/bin" "$dest/usr/local/lib" "$dest/usr/local/share/man/"man{1,5,7} \
		"$dest/usr/local/share/bash-completion/completions"
	touch "$dest/usr/local/lib/libother.so"
	(cd "$dest" && find . | sort) >"$VM_DIR/before"
	plain_make make -s -C "$CPRSHIM_BUILDDIR" install "DESTDIR=$dest" >"$VM_DIR/install.log" 2>&1
	lib=$(dirname "$(find "$dest" -name libcprshim.so)")
	[ -z "$(find "$dest" -name '*.la')" ]

	VM_WRAPPER=(env "LD_LIBRARY_PATH=$lib")
	SHIM=libcprshim.so boot_guest -M pc-q35-7.2
	grep -qF " $lib/libcprshim.so" "/proc/$VM_PID/maps"
	CPRCTL=$dest/usr/local/bin/cprctl update_by_ctl
	guest_alive
	end_process "$VM_PID"

	plain_make make -s -C "$CPRSHIM_BUILDDIR" uninstall "DESTDIR=$dest" >"$VM_DIR/uninstall.log" 2>&1
	(cd "$dest" && find . | sort) | diff "$VM_DIR/before" -
}
