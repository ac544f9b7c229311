# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# A Linux guest to run scripts in, for kernel devices that this machine lacks: vhost, VFIO. Load after common.bash.
#
# The guest, by TCG, has this machine's root as its own, read-only, so this machine's QEMU and what was built here run
# there, by TCG once more. It has the modules of scripts/make-nested-guest, two NUMA nodes, an IOMMU with an edu device for
# VFIO at 00:04.0, and nothing else.

NESTED_GUEST=${NESTED_GUEST:-$CPRSHIM_BUILDDIR/nested-guest}

# nested_run SCRIPT SECONDS LOG: runs a bash script in a guest of its own, with the variables of common.bash; what it
# writes is in LOG while it runs, and on stdout at the end. Its exit status, or 125 where it did not come to its end.
# It may write in /run, and files that it needs must not be there.
nested_run() {
	local script=$1 seconds=$2 log=$3 dir pid variable

	dir=$(mktemp -d "${TMPDIR:-/tmp}/cprshim-nested.XXXXXX")
	{
		for variable in TEST_DIR CPRSHIM_SRCDIR CPRSHIM_BUILDDIR QEMU_OLD QEMU_NEW NESTED_GUEST NESTED_PARTS; do
			printf 'export %s=%q\n' "$variable" "${!variable}"
		done
		printf '. %q\n' "$script"
	} >"$dir/script"
	: >"$log"
	# Not under the shim, nor with anything of bats' open.
	timeout -k 5 "$seconds" qemu-system-x86_64 -nodefaults -no-reboot -display none -accel tcg,thread=multi -smp 2 \
		-cpu max -M q35 -m 1536 -kernel "$NESTED_GUEST/vmlinuz" -initrd "$NESTED_GUEST/outer.gz" \
		-append "console=ttyS0 quiet panic=-1 mitigations=off intel_iommu=on iommu=pt nested_run=$dir/script" \
		-object memory-backend-ram,id=m0,size=768M -numa node,cpus=0,memdev=m0 \
		-object memory-backend-ram,id=m1,size=768M -numa node,cpus=1,memdev=m1 \
		-device intel-iommu,intremap=off -device edu,addr=4 \
		-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
		-serial "file:$dir/console" -serial "file:$log" </dev/null >"$dir/qemu.log" 2>&1 3>&- &
	pid=$!
	wait "$pid" || true
	cat "$log"
	if ! grep -qaE '^nested: exit [0-9]+' "$log"; then
		echo "the nested guest did not come to its end within $seconds s:"
		tail -n 20 "$dir/console" "$dir/qemu.log"
		rm -rf "$dir"
		return 125
	fi
	rm -rf "$dir"
	return "$(sed -nE 's/^nested: exit ([0-9]+).*/\1/p' "$log" | tail -n 1)"
}
