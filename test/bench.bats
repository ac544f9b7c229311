# SPDX-License-Identifier: LGPL-2.1-or-later
# The scripts of bench/ work, and what they measure is not far from what is said of it. One or three runs tell no more than that.

load lib/common

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

median() {
	jq --arg case "$1" --arg phase "$2" '.[$case] | map(.[$phase]) | sort | .[length / 2 | floor]' "$VM_DIR/runs.json"
}

@test "bench/blackout: every phase is there, and the blackout is the new QEMU's start-up and little more" {
	TMPDIR=$VM_DIR "$CPRSHIM_SRCDIR/bench/blackout" --runs 3 --mib 256,1024 --json --old "$QEMU_OLD" --new "$QEMU_NEW" \
		--shim "$SHIM" --cprctl "$CPRCTL" --guest "$GUEST" >"$VM_DIR/runs.json"
	jq -e 'length == 4 and all(.[]; length == 3 and all(.[]; has("stop") and has("exec") and has("load") and .blackout > 0))' \
		"$VM_DIR/runs.json"
	local case
	for case in "same version, 256 MiB touched" "to the new version, 1024 MiB touched"; do
		echo "$case: blackout $(median "$case" blackout), start-up alone $(median "$case" "start-up without the shim")" >&2
		# Far from what bench/blackout shows on a quiet machine: this must hold on a busy one.
		jq -ne "$(median "$case" blackout) < 3 * $(median "$case" "start-up without the shim")"
	done
}

@test "bench/hooks: an ioctl of KVM's costs the same with the shim, and an inert shim costs next to nothing" {
	CPRSHIM_BUILDDIR=$CPRSHIM_BUILDDIR TMPDIR=$VM_DIR "$CPRSHIM_SRCDIR/bench/hooks" | tee "$VM_DIR/hooks"
	[ "$(grep -c 'ioctl\|dup+close' "$VM_DIR/hooks")" = 6 ]
	# The last column: nanoseconds that a call costs more; it is little beside what the call itself costs.
	awk '/ ioctl / { armed = /shim armed/ }
	     / ioctl / || /dup.close/ && !armed { n++; if ($NF > $(NF - 8)) bad = 1 }
	     END { exit bad || n != 5 }' "$VM_DIR/hooks"
}

@test "bench/versus: the shim's updates and QEMU's own, by the same clock" {
	TMPDIR=$VM_DIR "$CPRSHIM_SRCDIR/bench/versus" --runs 1 --mib 256 --json --q7 "$QEMU_OLD" --q10 "$QEMU_NEW" --q11 "$CPRSHIM_QEMU11" \
		--shim "$SHIM" --cprctl "$CPRCTL" --guest "$GUEST" --device virtio-rng-pci >"$VM_DIR/runs.json"
	cat "$VM_DIR/runs.json" >&2
	jq -e 'length == 22 and all(.[]; length == 1 and .[0] > 0)' "$VM_DIR/runs.json"
}

@test "bench/scale: what a VM has is measured, by transfer and by relay, and the second after" {
	local options=(--runs 1 --mib 1024 --json --q10 "$QEMU_NEW" --shim "$SHIM" --cprctl "$CPRCTL" --guest "$GUEST")

	TMPDIR=$VM_DIR "$CPRSHIM_SRCDIR/bench/scale" "${options[@]}" --only 'RAM|16 vCPUs|32 virtio|16 queues' >"$VM_DIR/runs.json"
	jq -e 'length == 16 and all(.[]; length == 1 and .[0] > 0)' "$VM_DIR/runs.json"
	TMPDIR=$VM_DIR "$CPRSHIM_SRCDIR/bench/scale" "${options[@]}" --after --only 'transfer, base' >"$VM_DIR/runs.json"
	# Not a figure of speed: half as fast would be page faults, which there are to be none of.
	jq -e 'length == 1 and .[][0] > 0.5' "$VM_DIR/runs.json"
}

@test "bench/steady: ratios for both QEMUs, and a plot" {
	TMPDIR=$VM_DIR "$CPRSHIM_SRCDIR/bench/steady" --runs 1 --mib 256 --settle 0.5 --json --save "$VM_DIR/kept" --q7 "$QEMU_OLD" --q10 "$QEMU_NEW" \
		--shim "$SHIM" --cprctl "$CPRCTL" --guest "$GUEST" >"$VM_DIR/runs.json"
	jq -e 'length == 10 and all(.[]; length == 1 and .[0] > 0)' "$VM_DIR/runs.json"
	jq -e '.runs | length == 10' "$VM_DIR/kept.json"
	[ "$(head -c 4 "$VM_DIR/kept.png" | tail -c 3)" = PNG ]
}

@test "bench/seen: what each method costs network, disk and serial line; by transfer and relay nothing is lost" {
	TMPDIR=$VM_DIR "$CPRSHIM_SRCDIR/bench/seen" -n 1 --json >"$VM_DIR/runs"
	tail -n 1 "$VM_DIR/runs" | jq -e 'length == 20 and all(to_entries[] | select(.key | test("lost"));
			.value == [0] or (.key | startswith("exec, packets"))) and
		all(to_entries[] | select(.key | test("lost") | not); .value[0] > 0)'
}

@test "bench/throughput: disk and network of both QEMUs" {
	TMPDIR=$VM_DIR "$CPRSHIM_SRCDIR/bench/throughput" -n 1 --json >"$VM_DIR/runs"
	tail -n 1 "$VM_DIR/runs" | tee /dev/stderr | jq -e 'length == 4 and all(.[]; length == 1 and .[0] > 0)'
}

@test "bench/soak: some updates of a busy Linux guest lose and leave nothing" {
	TMPDIR=$VM_DIR CPRSHIM_BUILDDIR=$CPRSHIM_BUILDDIR "$CPRSHIM_SRCDIR/bench/soak" 6 | tee "$VM_DIR/soak"
	grep -qx 'soak: passed' "$VM_DIR/soak"
}
