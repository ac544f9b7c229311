#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# CPRSHIM_RAW=on: what libc opens, closes, duplicates and maps on its own behalf comes to the hooks. What an entry becomes is
# test/unit/test_entrypatch.c's.

bats_require_minimum_version 1.5.0

load lib/common
load lib/programs

setup() {
	setup_vm_dir
	setup_programs
	[ "$(uname -m)" = x86_64 ] || [[ $BATS_TEST_DESCRIPTION == "on another processor"* ]] || skip 'libc is changed on x86-64 only'
	export CPRSHIM_RAW=on CPRSHIM_LOG=info
	LIBC=$(ldd "$programs/prog_raw" | awk '$1 == "libc.so.6" { print $3 }')
}

teardown() {
	teardown_vm_dir
}

# lead_to_hooks N: as many functions of libc did in the last program.
lead_to_hooks() {
	grep -q "CPRSHIM_RAW: $1 of 14 functions of libc lead to the hooks" "$VM_DIR/shimmed.err"
}

# left_alone TEXT: none did, and why.
left_alone() {
	grep -q "CPRSHIM_RAW: libc is left as it is: $1" "$VM_DIR/shimmed.err"
	fails grep -q 'lead to the hooks' "$VM_DIR/shimmed.err"
}

# with_rawctor NAME: the program with test/programs/rawctor.c behind the shim.
with_rawctor() {
	run_shimmed "$1" "$SHIM:$programs/.libs/rawctor.so"
}

# missing WHAT...: without the entries the program has found each of them open and not recorded.
missing() {
	local what

	for what; do
		grep -qE "^$what: [0-9]+ is open and not recorded" "$VM_DIR/shimmed.err"
	done
}

raw() {
	cprctl_status | jq -c .raw
}

# dirty: KiB of libc's code that are the process's own.
dirty() {
	awk '/^[0-9a-f]+-/ { libc = / r-xp .*\/libc\.so\.6$/ } libc && $1 == "Private_Dirty:" { sum += $2 } END { print sum + 0 }' \
		"/proc/$VM_PID/smaps"
}

# --- what is seen

@test "popen, tmpfile, shm_open and their like: all in the table, and gone from it; without the setting they are not" {
	same_with_and_without raw
	lead_to_hooks 14
	CPRSHIM_RAW=off run -1 run_shimmed raw
	missing popen tmpfile fdopen openpty shm_open
	fails grep -q CPRSHIM_RAW "$VM_DIR/shimmed.err"
}

@test "a value that is neither on nor off is reported, and nothing is changed" {
	CPRSHIM_RAW=yes run -1 run_shimmed raw
	grep -q 'warning: CPRSHIM_RAW is neither on nor off: yes' "$VM_DIR/shimmed.err"
	fails grep -q 'lead to the hooks' "$VM_DIR/shimmed.err"
	missing popen
}

@test "what programs do by name has the same results, errno and records as ever" {
	for name in open dup memory socket children; do
		same_with_and_without "$name"
		lead_to_hooks 14
	done
}

@test "64 threads in hooks, forked and vforked children, cancelled threads, close() in signal handlers" {
	run_shimmed threads
	lead_to_hooks 14
	for THREADS_MODE in fork vfork cancel signal; do
		export THREADS_MODE
		run_shimmed threads
	done
}

@test "a function of libc's own that opens, closes, duplicates or maps is either changed or known" {
	local libc calls='^(open|openat|openat2|close|close_range|dup|dup2|dup3|pipe|pipe2|mmap|munmap|mremap)$'
	local changed='^(open|openat|__open_nocancel|close|__close_nocancel|dup|dup2|dup3|pipe|pipe2|mmap|munmap|mremap) '

	# Not called by libc itself, or closed at once; without a name: in if_indextoname() and its like, __openat64_nocancel(),
	# and what posix_spawn() does in its child.
	cat >"$VM_DIR/known" <<-END
		      3 - close
		      1 - close_range
		      1 - openat
		      1 close_range close_range
		      1 mq_close close
	END
	for libc in "$LIBC" "$(dirname "$QEMU_11")/usr/lib/x86_64-linux-gnu/libc.so.6"; do
		"$CPRCTL" audit --json "$libc" | jq -r --arg libc "$libc" --arg calls "$calls" '.sites[] | select(.file == $libc) |
			select(.calls | any(test($calls))) | "\(.symbol // "-") \(.calls | join(","))"' >"$VM_DIR/sites"
		[ "$(grep -cE "$changed" "$VM_DIR/sites")" -ge 11 ]
		grep -vE "$changed" "$VM_DIR/sites" | LC_ALL=C sort | uniq -c | diff "$VM_DIR/known" -
	done
}

# --- when libc is changed

@test "threads that run in these very functions, and signals all the time" {
	local i

	export RAWCTOR_THREADS=8
	for i in 1 2 3 4 5; do
		with_rawctor raw
		lead_to_hooks 14
	done
	export RAWCTOR_SIGNALS=yes
	for i in 1 2 3 4 5; do
		with_rawctor raw
		lead_to_hooks 14
	done
}

@test "threads that cannot be stopped, or are traced already: libc is left as it is" {
	export RAWCTOR_THREADS=2 RAWCTOR_POLICY=ptrace
	run -1 with_rawctor raw
	left_alone 'its threads cannot be stopped'
	missing popen
	# Alone a thread needs not be stopped.
	export RAWCTOR_THREADS=0
	with_rawctor raw
	lead_to_hooks 14
	unset RAWCTOR_POLICY
	export RAWCTOR_THREADS=2
	run -1 run_as shimmed raw strace -f -qq -o "$VM_DIR/strace" -e trace=none env EXPECT_TABLE=yes \
		"CPRSHIM_RUNDIR=$VM_DIR/run" "LD_PRELOAD=$SHIM:$programs/.libs/rawctor.so"
	left_alone 'its threads cannot be stopped'
}

@test "a function that begins with a jump is left alone and named; where it is close(), so is all that opens" {
	RAWCTOR_JUMP=dup3 run -0 with_rawctor open
	lead_to_hooks 13
	grep -q "warning: CPRSHIM_RAW: libc's dup3() is left as it is: there is a jump at its entry" "$VM_DIR/shimmed.err"
	RAWCTOR_JUMP=close run -1 with_rawctor raw
	lead_to_hooks 1
	grep -q "libc's close() is left as it is: there is a jump at its entry" "$VM_DIR/shimmed.err"
	grep -q "libc's open64() is left as it is: what it opens would be closed unseen" "$VM_DIR/shimmed.err"
	missing popen
}

@test "where memory must not become executable libc is left as it is, and the program runs on" {
	local policy

	for policy in mprotect mdwe; do
		export RAWCTOR_POLICY=$policy
		run -1 with_rawctor raw
		left_alone 'new code is forbidden here (mprotect: E'
		missing popen
	done
	RAWCTOR_POLICY=change run -1 with_rawctor raw
	left_alone 'no function of libc could be changed: close: its code may not be changed (mprotect)'
	missing popen
}

@test "another library between the hooks and libc: neither calls the other for ever" {
	local order

	cp "$SHIM" "$VM_DIR/other.so"
	ln -s "$(dirname "$SHIM")/disasm.so" "$VM_DIR/disasm.so"
	for order in "$SHIM:$VM_DIR/other.so" "$VM_DIR/other.so:$SHIM"; do
		run_shimmed open "$order"
		grep -q "libc's close() is left as it is: another library stands between the hook and libc" "$VM_DIR/shimmed.err"
	done
	# These do not stand there: one allocates in ways of its own, the other aborts where a hook does.
	run_shimmed raw "$SHIM:/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"
	lead_to_hooks 14
	run_shimmed threads "$SHIM:$programs/.libs/strictmalloc.so"
	lead_to_hooks 14
}

@test "without a disassembler: built so, or not installed: it says so, and the program runs on" {
	run -1 run_shimmed raw "$programs/.libs/plainshim.so"
	left_alone 'this cprshim was built without a disassembler (configure --without-capstone)'
	missing popen
	cp "$SHIM" "$VM_DIR/libcprshim.so"
	run -1 run_shimmed raw "$VM_DIR/libcprshim.so"
	left_alone 'the disassembler, cprshim/disasm.so, is not installed'
	mkdir "$VM_DIR/cprshim"
	ln -s "$(dirname "$SHIM")/disasm.so" "$VM_DIR/cprshim/disasm.so"
	run_shimmed raw "$VM_DIR/libcprshim.so"
	lead_to_hooks 14
}

@test "on another processor it says so, and a VM runs" {
	[ "$(uname -m)" != x86_64 ] || SHIM=$programs/.libs/othercpushim.so
	run -1 run_shimmed raw
	grep -q 'warning: CPRSHIM_RAW: not available for this processor' "$VM_DIR/shimmed.err"
	missing popen
	boot_guest
	raw | jq -e '. == {state: "unavailable", why: "not available for this processor", patched: [], left: []}'
}

@test "jumps alone lead to the hooks, and each hook is marked as an indirect jump's target" {
	objdump -d --no-show-raw-insn "$SHIM" >"$VM_DIR/code"
	for hook in close open64 openat64 dup dup2 dup3 fcntl64 pipe pipe2 mmap64 munmap mremap; do
		grep -A 1 "^[0-9a-f]* <$hook\(@.*\)\?>:" "$VM_DIR/code" | grep -qw endbr64 || { echo "$hook is not"; return 1; }
	done
}

# --- virtual machines

@test "VMs of each QEMU: updated by relay and by exec, with the entries led to the hooks each time; no disassembler stays" {
	local binary

	for binary in "$QEMU_OLD" "$QEMU_NEW" "$QEMU_11"; do
		use_qemu "$binary"
		boot_guest
		raw | jq -e '.state == "on" and (.patched | length) == 14 and .left == [] and .why == null'
		ctl update --json --method relay "$VM_PID"
		raw | jq -e '.state == "on" and .left == []'
		ctl update --json --method exec "$VM_PID"
		raw | jq -e '.state == "on" and .left == []'
		guest_alive
		cprctl_status | jq -e '.blockers == [] and ([.descriptors[] | select(.kind == "none")] | length) == 0'
		fails grep -q disasm "/proc/$VM_PID/maps"
		run -0 ctl status "$VM_PID"
		[[ $output == *$'\nraw          on, 14 of 14 functions of libc\n'* ]]
		fails grep 'CPRSHIM_RAW: libc' "$VM_DIR/shim.log"
		end_process "$VM_PID"
		rm -f "$VM_DIR"/*.sock
	done
}

@test "from one version to the next and back, with a disk and a terminal; the table is what the kernel has" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	boot_guest -chardev "file,id=log,path=$VM_DIR/console" -device isa-debugcon,chardev=log -D "$VM_DIR/qemu.out" \
		-chardev pty,id=pty0 -device isa-serial,chardev=pty0 -drive "file=$VM_DIR/disk.qcow2,if=virtio"
	start_serial_client --rate 100
	for binary in "$QEMU_NEW" "$QEMU_OLD"; do
		ctl update --json --method relay --binary "$binary" "$VM_PID"
		ctl update --json --method exec --binary "$binary" "$VM_PID"
		guest_alive
	done
	stop_serial_client
	wait_for 10 table_is_complete
}

# Every descriptor of the process is either recorded or, from its number, the shim's own; every record is of one.
table_is_complete() {
	find "/proc/$VM_PID/fd" -mindepth 1 -printf '%f\n' | awk '$1 < 700' | sort >"$VM_DIR/kernel"
	cprctl_status | jq -r '.descriptors[].fd | select(. < 700)' | sort >"$VM_DIR/table"
	diff "$VM_DIR/kernel" "$VM_DIR/table"
}

@test "off, which is the default, libc's code is not touched; a VM that asks in vain runs and is updated" {
	unset CPRSHIM_RAW
	boot_guest
	raw | jq -e '. == {state: "off", why: null, patched: [], left: []}'
	[ "$(dirty)" = 0 ]
	run -0 ctl status "$VM_PID"
	[[ $output != *$'\nraw '* ]]
	end_process "$VM_PID"
	rm -f "$VM_DIR"/*.sock
	export CPRSHIM_RAW=on
	SHIM=$programs/.libs/plainshim.so boot_guest
	raw | jq -e '.state == "unavailable" and .patched == [] and (.why | startswith("this cprshim was built without"))'
	[ "$(dirty)" = 0 ]
	run -0 ctl status "$VM_PID"
	[[ $output == *$'\nraw          unavailable: this cprshim was built without'* ]]
	ctl update --json --method exec --binary "$QEMU_NEW" "$VM_PID"
	guest_alive
	end_process "$VM_PID"
	rm -f "$VM_DIR"/*.sock
	use_qemu old
	boot_guest
	[ "$(dirty)" -gt 0 ]
}
