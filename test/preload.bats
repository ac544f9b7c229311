#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# With other libraries preloaded before and after the shim: allocators that use the hooked calls, one that aborts where a hook
# allocates, constructors and their threads; with sanitizers; with a limit of a billion on open files. docs/pitfalls.md says
# what each is there for.

bats_require_minimum_version 1.5.0

load lib/common
load lib/programs

setup() {
	setup_vm_dir
	setup_programs
	jemalloc=/usr/lib/x86_64-linux-gnu/libjemalloc.so.2
	tcmalloc=/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4
	strictmalloc=$programs/.libs/strictmalloc.so
	ctor=$programs/.libs/ctor.so
	export CTOR_QUIET=1
}

teardown() {
	teardown_vm_dir
}

# works_with LIBRARY: programs and a QEMU that only tells its version, in both orders
works_with() {
	local order

	[ -e "$1" ]
	for order in "$SHIM:$1" "$1:$SHIM"; do
		timeout 20 env LD_PRELOAD="$order" "$QEMU_OLD" -version | grep -q 'QEMU emulator'
		run_shimmed open "$order"
		run_shimmed threads "$order"
	done
}

# updated_with PRELOAD LIBRARY: a VM that is started so is complete and updated, and the new QEMU has the library too
updated_with() {
	SHIM=$1 boot_guest
	cprctl_status | jq -e '.blockers == []'
	update_vm new
	grep -qF "$2" "/proc/$VM_PID/maps"
	guest_alive
	end_process "$VM_PID"
	rm -f "$VM_DIR"/*.sock
	use_qemu old
}

@test "with jemalloc, before and after the shim" {
	works_with "$jemalloc"
	run_shimmed memory "$SHIM:$jemalloc"
	run_shimmed memory "$jemalloc:$SHIM"
	updated_with "$SHIM:$jemalloc" "$jemalloc"
	updated_with "$jemalloc:$SHIM" "$jemalloc"
}

# It takes mmap() for itself, and passes nothing on.
@test "with tcmalloc, before and after the shim: before it, a VM cannot be updated, and the reason says why" {
	works_with "$tcmalloc"
	updated_with "$SHIM:$tcmalloc" "$tcmalloc"
	SHIM=$tcmalloc:$SHIM boot_guest
	fails update_vm new
	jq -e '.outcome == "refused" and .blockers[0].code == "preload-order" and (.reasons[0] | contains("tcmalloc"))' <<<"$UPDATE_RESULT"
	guest_alive
}

@test "with an allocator that uses the hooks each time it is called, and aborts where a hook allocates" {
	works_with "$strictmalloc"
	updated_with "$strictmalloc:$SHIM" "$strictmalloc"
}

@test "with a library whose constructor uses the hooked calls, and whose threads race the start of the program" {
	local order

	works_with "$ctor"
	for order in "$SHIM:$ctor" "$ctor:$SHIM"; do
		# What a thread closes while the shim looks at what is open may stay in the table: it is not asked for here.
		run_as shimmed threads env "CPRSHIM_RUNDIR=$VM_DIR/run" "LD_PRELOAD=$order" CTOR_RACE=1
		(
			unset CTOR_QUIET
			run_shimmed open "$order"
		)
		grep -q 'constructor: done' "$VM_DIR/shimmed.err"
	done
}

# opened FILE: under which number the VM's process has it open
opened() {
	find "/proc/$VM_PID/fd" -lname "$1" -printf '%f\n'
}

@test "what a library's constructor has open is its own after updates, beside a descriptor that the VM was given" {
	local i

	# The lowest number, which the library would get first if it were free.
	# shellcheck disable=SC2034,SC2054 # lib/common uses them
	SERIAL_ARGS=(-chardev socket,id=serial0,fd=3,server=on,wait=off -serial chardev:serial0)
	# shellcheck disable=SC2016,SC2034 # the inner shell expands it
	VM_WRAPPER=("$TOOLS/listenfd.py" "$VM_SERIAL" 9 bash -c 'exec 3<&9 9<&-; exec "$@"' -)
	SHIM=$ctor:$SHIM boot_guest
	[ "$(opened /dev/zero) $(opened /dev/full)" = "4 5" ]
	start_serial_client --rate 100
	start_qmp_client
	for i in new old new; do
		update_vm "$i"
		jq -e '.closed == []' <<<"$UPDATE_RESULT"
		# One each, and neither under the number of the VM's.
		[[ "$(opened /dev/zero) $(opened /dev/full)" =~ ^([4-9]|[1-9][0-9]+)\ ([4-9]|[1-9][0-9]+)$ ]]
		[[ "$(readlink "/proc/$VM_PID/fd/3")" == socket:* ]]
		guest_alive
		qmp_goes_on
	done
	stop_serial_client
	stop_qmp_client
}

@test "a module that is loaded with its names kept to itself is seen all the same" {
	export MODULE=$ctor
	same_with_and_without open
}

@test "with a limit of a billion on open files nothing is looked at number by number" {
	local begin

	begin=$(date +%s)
	run_shimmed dup "$SHIM:$programs/.libs/limits.so"
	run_shimmed children "$SHIM:$programs/.libs/limits.so"
	updated_with "$SHIM:$programs/.libs/limits.so" limits.so
	[ $(($(date +%s) - begin)) -lt 30 ]
}

# build_sanitized NAME SANITIZER SOURCE...: a program of that name
build_sanitized() {
	(
		cd "$CPRSHIM_SRCDIR" || exit
		clang -g -O1 -std=gnu11 -D_GNU_SOURCE -DPKGLIBDIR='""' -fsanitize="$2" -I. -o "$VM_DIR/$1" \
			test/programs/program.c "${@:3}" state/*.c -ldl
	)
}

@test "a program with AddressSanitizer under the shim" {
	build_sanitized prog_socket address test/programs/prog_socket.c
	programs=$VM_DIR
	# Its run-time library must not care who comes before it; what a test's program does not free is of no matter.
	ASAN_OPTIONS=detect_leaks=0 same_with_and_without socket
}

# The sanitizer's memory layout does not go with all of the randomness that a kernel may be set to.
run_tsan() {
	local runner=()

	[ "$(cat /proc/sys/vm/mmap_rnd_bits)" -le 28 ] || runner=(setarch -R)
	EXPECT_TABLE=yes exec timeout 120 "${runner[@]}" "$VM_DIR/qemu-system-tsan"
}

# Without what changes libc's code, which the sanitizer stands in front of.
shim_sources() {
	find "$CPRSHIM_SRCDIR/shim" -name '*.c' ! -name raw.c ! -name entrypatch.c ! -name stopothers.c
}

@test "ThreadSanitizer finds no race between hooks" {
	local mode sources

	mapfile -t sources < <(shim_sources)
	build_sanitized qemu-system-tsan thread test/programs/{insider,prog_threads}.c "${sources[@]}"
	# Asked without the lock of a number that the caller has just got: the kernel gave it after the last owner's close().
	echo race:table_kind >"$VM_DIR/suppressions"
	mkfifo "$VM_DIR/fifo"
	for mode in plain cancel; do
		(
			close_bats_descriptors
			cd "$VM_DIR"
			export TSAN_OPTIONS=suppressions=$VM_DIR/suppressions THREADS_MODE=$mode
			run_tsan
		) >"$VM_DIR/tsan.out" 2>"$VM_DIR/tsan.log" </dev/null
		grep -qx 'rounds were done: 1' "$VM_DIR/tsan.out"
	done
}

# The same program with the table's lock taken away: is it looked at at all?
@test "ThreadSanitizer finds a race where there is one" {
	sed 's/while (__atomic_exchange_n(&lock, 1, __ATOMIC_ACQUIRE))/while (0)/; s/^#include "/#include "shim\//; s/shim\/\.\.\///' \
		"$CPRSHIM_SRCDIR/shim/table.c" >"$VM_DIR/table.c"
	local sources

	mapfile -t sources < <(shim_sources)
	build_sanitized qemu-system-tsan thread test/programs/{insider,prog_threads}.c \
		"${sources[@]/%*\/table.c/$VM_DIR/table.c}"
	# Two threads meet by chance.
	local tries
	for ((tries = 0; tries < 10; tries++)); do
		run run_tsan
		if [[ $output == *"WARNING: ThreadSanitizer: data race"*fdtable_* ]]; then
			return
		fi
	done
	echo "no race was found" >&2
	return 1
}
