# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Programs of test/programs/ in QEMU's place, with the shim and without it, and what the table of a real QEMU must hold; after lib/common.

setup_programs() {
	programs=$CPRSHIM_BUILDDIR/test/programs
}

# run_plain NAME, run_shimmed NAME [PRELOAD]: run a program in an empty directory, with its stdout in plain.out or shimmed.out and
# its stderr in .err. bats' own descriptors are kept from it.
run_plain() {
	run_as plain "$1" env -u LD_PRELOAD
}

run_shimmed() {
	run_as shimmed "$1" env EXPECT_TABLE=yes "CPRSHIM_RUNDIR=$VM_DIR/run" "LD_PRELOAD=${2:-$SHIM}"
}

run_as() {
	local out=$VM_DIR/$1 name=$2 status=0
	shift 2

	rm -rf "$VM_DIR/work"
	mkdir "$VM_DIR/work"
	mkfifo "$VM_DIR/work/fifo"
	ln -sf "$programs/prog_$name" "$VM_DIR/qemu-system-$name"
	# Built without libtool's wrapper scripts, so this is the program itself.
	(
		close_bats_descriptors
		cd "$VM_DIR/work"
		exec timeout 60 "$@" "$VM_DIR/qemu-system-$name"
	) >"$out.out" 2>"$out.err" </dev/null || status=$?
	cat "$out.err" >&2
	return $status
}

close_bats_descriptors() {
	local fd

	for fd in "/proc/$BASHPID/fd"/*; do
		fd=${fd##*/}
		if [ "$fd" -gt 2 ] && [ "$fd" != 255 ]; then
			eval "exec $fd>&-"
		fi
	done
}

# same_with_and_without NAME [PRELOAD]: the program finds the table right, and prints the same in both runs.
same_with_and_without() {
	run_plain "$1"
	run_shimmed "$@"
	[ "$(wc -l <"$VM_DIR/plain.out")" -ge 2 ]
	diff -u "$VM_DIR/plain.out" "$VM_DIR/shimmed.out"
}

cprctl_status() {
	CPRSHIM_RUNDIR=$VM_DIR/run "$CPRCTL" status --json "$VM_PID"
}

# known_and_open: the numbers that the table knows are those that are open, but for the shim's own and what is known to go past the
# hooks; $VM_DIR/unseen has a line that says why for each of these. A connection may be about to be closed between two looks.
known_and_open() {
	wait_for 5 known_is_open 2>/dev/null || known_is_open
}

known_is_open() {
	cprctl_status | jq '.descriptors[].fd' | sort -n >"$VM_DIR/known"
	# Guest RAM is the shim's own and recorded; QEMU's end of the private monitor is recorded too, at a high number.
	find "/proc/$VM_PID/fd" -type l -printf '%f %l\n' | sort -n | awk '$1 < 700' >"$VM_DIR/links"
	sed -n 's/ anon_inode:\[io_uring\]$/ is a ring, which liburing makes by a raw system call/p' "$VM_DIR/links" >"$VM_DIR/unseen"
	awk '$2 != "anon_inode:[io_uring]" { print $1 }' "$VM_DIR/links" >"$VM_DIR/open"
	awk '$1 < 700' "$VM_DIR/known" | diff -u - "$VM_DIR/open"
}
