#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# cprctl audit: which system calls of a program go past the hooks. test/imports.bats is about what it imports.

bats_require_minimum_version 1.5.0
load lib/common

setup() {
	VM_DIR=$BATS_TEST_TMPDIR
	VM_IN_USE=
}

teardown() {
	[ -z "$VM_IN_USE" ] || teardown_vm_dir
}

# library NAME.S [FLAG...]: a library of that code alone, at the same address everywhere.
library() {
	local source=$1
	shift
	"${CC:-cc}" -nostdlib -shared -Wl,--build-id=none -Wl,--section-start=.text=0x10000 "$@" -o "$VM_DIR/code.so" \
		"$TEST_DIR/audit/$source"
}

# found: what is found in it, a line for each call.
found() {
	"$CPRCTL" audit --json "$VM_DIR/code.so" | jq -Sc '(.files[0] | {data}), (.sites[] | del(.file))'
}

# verdicts FILE: how many calls of each kind an audit's answer has for the file of that name, in the order of the columns.
verdicts() {
	jq -r --arg name "$1" '.files[] | select(.path | endswith("/" + $name)) | .verdicts |
		"\(.hooked) \(.harmless) \(.transient) \(.patchable) \(.unknown)"' "$VM_DIR/answer"
}

audit() {
	"$CPRCTL" audit --json "$@" >"$VM_DIR/answer"
}

@test "each pattern of code is understood as its golden file says" {
	for source in "$TEST_DIR"/audit/*.S; do
		name=${source##*/}
		flags=()
		[ "$name" != stripped.S ] || flags=(-s)
		library "$name" "${flags[@]}"
		found >"$VM_DIR/found"
		diff -u "${source%.S}.json" "$VM_DIR/found" || { echo "in $name"; return 1; }
	done
}

@test "what is found in libc is what objdump finds, in well under a second" {
	local libc limit=1000 started
	libc=$(ldd "$(command -v bash)" | awk '$1 == "libc.so.6" { print $3 }')
	started=$(date +%s%N)
	audit "$libc"
	# Measured: 40 ms on two cores. The limit is of the processor's time where the machine is busy.
	echo "took $((($(date +%s%N) - started) / 1000000)) ms"
	run -0 bash -c 'ulimit -t 1; "$1" audit --json "$2" >/dev/null' bash "$CPRCTL" "$libc"
	jq -r --arg file "$libc" '.sites[] | select(.file == $file and .instruction == "syscall") | .offset[2:]' "$VM_DIR/answer" |
		sort >"$VM_DIR/ours"
	objdump -d --no-show-raw-insn "$libc" | sed -n 's/^ *\([0-9a-f]*\):[[:space:]]*syscall.*/\1/p' | sort >"$VM_DIR/theirs"
	[ "$(wc -l <"$VM_DIR/theirs")" -gt 300 ]
	diff "$VM_DIR/theirs" "$VM_DIR/ours"
	# Nothing but syscall(), and those that set the credentials of all threads, has a number that cannot be told.
	jq -r '.sites[] | select(.file | endswith("/libc.so.6")) | select(.verdict == "unknown") | .why' "$VM_DIR/answer" |
		sort | uniq -c >"$VM_DIR/unknown"
	cat "$VM_DIR/unknown"
	[ "$(jq '[.sites[] | select(.file | endswith("/libc.so.6")) | select(.verdict == "unknown")] | length' "$VM_DIR/answer")" -le 5 ]
	[ "$(jq -r '[.sites[] | select(.symbol == "syscall")] | map("\(.verdict) \(.numbers)") | join(",")' "$VM_DIR/answer")" = "unknown []" ]
}

@test "hooked, transient and patchable are told apart in QEMU's libraries" {
	audit "$QEMU_OLD"
	site() {
		jq -r --arg symbol "$1" '[.sites[] | select(.symbol == $symbol) | "\(.verdict) \(.calls | join("/"))"] | unique | join("; ")' \
			"$VM_DIR/answer"
	}
	[ "$(site close)" = "hooked close" ]
	[ "$(site __close_nocancel)" = "patchable close" ]
	[ "$(site getpid)" = "harmless getpid" ]
	[ "$(site io_uring_queue_exit)" = "patchable close; patchable munmap" ]
	# Only the loader's own calls are transient, and none of its others is hooked or unknown.
	run -0 jq -r '[.files[] | select(.verdicts.transient > 0) | .role] | unique | join(" ")' "$VM_DIR/answer"
	[ "$output" = loader ]
	[[ $(verdicts ld-linux-x86-64.so.2) =~ ^0\ [1-9][0-9]*\ [1-9][0-9]*\ 0\ 0$ ]]
	[ "$(verdicts qemu-system-x86_64)" = "0 0 0 0 0" ]
	# Every call is in one of the columns, and in the list.
	run -0 jq '([.files[].verdicts[]] | add) == (.sites | length) and ([.files[].calls] | add) == (.sites | length)' "$VM_DIR/answer"
	[ "$output" = true ]
	# For people: a row for each file with calls, and each call of which nothing is known.
	run -0 "$CPRCTL" audit "$QEMU_OLD"
	[[ $output == *"libc.so.6  "*"library"* ]]
	[[ $output == *"unknown    libc.so.6 0x"*" syscall+0x"*"its number is what the function is entered with"* ]]
	[[ $output != *"hooked     libc.so.6"* ]]
	run -0 "$CPRCTL" audit --all "$QEMU_OLD"
	[[ $output == *"hooked     libc.so.6 0x"*" close+0x"*"close"* ]]
}

@test "a process is looked at as it is, with the shim, and with files that are gone" {
	setup_vm_dir
	VM_IN_USE=1
	# A copy: the file is taken away while it runs.
	mkdir "$VM_DIR/bin"
	cp "$(command -v sleep)" "$VM_DIR/bin/sleep"
	start_background "$VM_DIR/sleep.log" "$VM_DIR/bin/sleep" 600
	STARTED+=($!)
	pid=$!
	wait_for 10 grep -q "$VM_DIR/bin/sleep" "/proc/$pid/maps"
	wait_for 10 grep -q "libc.so.6" "/proc/$pid/maps"
	rm "$VM_DIR/bin/sleep"
	audit "$pid"
	[ "$(jq -r '[.files[] | select(.role == "program")] | length' "$VM_DIR/answer")" = 1 ]
	[ "$(jq -r '[.files[] | select(.role == "loader")] | length' "$VM_DIR/answer")" = 1 ]
	[ "$(jq -r '[.files[] | select(.not_looked_at)] | length' "$VM_DIR/answer")" = 0 ]
	[ "$(jq -r '.imports.hooked | map(.name) | index("close") != null or index("fclose") != null or index("exit") != null' "$VM_DIR/answer")" = true ]
	[ "$(jq .generated_code "$VM_DIR/answer")" = 0 ]

	start_vm
	audit "$VM_PID"
	[ "$(jq -r '[.files[] | select(.role == "shim") | .path] | length' "$VM_DIR/answer")" = 1 ]
	[ "$(jq -r '[.files[] | select(.role == "program") | .path | split("/")[-1]] | join(" ")' "$VM_DIR/answer")" = "qemu-system-x86_64" ]
	# Nothing of ours goes past our own hooks' functions: the library makes its calls through libc.
	[ "$(verdicts libcprshim.so)" = "0 0 0 0 0" ]
	[ "$(jq -r '.imports.unknown | length' "$VM_DIR/answer")" = 0 ]
	# TCG's buffer
	[ "$(jq .generated_code "$VM_DIR/answer")" -ge 1 ]
}

@test "what cannot be looked at is said" {
	run -1 --separate-stderr "$CPRCTL" audit "$VM_DIR/none"
	[ "$stderr" = "cprctl: $VM_DIR/none cannot be looked at: No such file or directory" ]
	run -1 --separate-stderr "$CPRCTL" audit "$TEST_DIR/audit.bats"
	[[ $stderr == *"is no ELF file"* ]]
	run -1 --separate-stderr "$CPRCTL" audit 4194305
	[[ $stderr == *"No such process"* ]]
	run -2 "$CPRCTL" audit
	run -2 "$CPRCTL" audit "$QEMU_OLD" more
	mkfifo "$VM_DIR/fifo"
	run -1 timeout 10 "$CPRCTL" audit "$VM_DIR/fifo"
}

@test "damaged files are refused or read as far as they go" {
	local uring i
	uring=$(ldd "$QEMU_OLD" | awk '$1 == "liburing.so.2" { print $3 }')
	python3 - "$uring" "$VM_DIR" <<-'END'
		import random, sys
		good = open(sys.argv[1], "rb").read()
		random.seed(6)
		for i in range(40):
		    bad = bytearray(good)
		    if i < 10:
		        del bad[random.randrange(len(bad)):]
		    else:
		        # where the headers and tables are, mostly
		        for _ in range(random.randrange(1, 40)):
		            bad[random.randrange(len(bad) if i % 3 else 4096)] = random.randrange(256)
		    open(f"{sys.argv[2]}/bad{i}.so", "wb").write(bad)
	END
	for i in {0..39}; do
		status=0
		timeout 20 "$CPRCTL" audit --json "$VM_DIR/bad$i.so" >"$VM_DIR/answer" 2>"$VM_DIR/why" || status=$?
		[ "$status" -le 1 ] || { echo "bad$i.so: exit $status"; return 1; }
		[ "$status" = 1 ] || jq -e .files "$VM_DIR/answer" >"$VM_DIR/files"
	done
}

@test "of a file for aarch64 the imports are read" {
	cat >"$VM_DIR/libc.s" <<-'END'
		.globl openat, mq_open, strlen
		.type openat, %function
		.type mq_open, %function
		.type strlen, %function
		openat: mq_open: strlen: ret
	END
	cat >"$VM_DIR/user.s" <<-'END'
		.globl user
		.type user, %function
		user: svc #0
		bl openat
		bl mq_open
		bl strlen
	END
	echo 'GLIBC_2.17 { global: *; };' >"$VM_DIR/map"
	cd "$VM_DIR"
	aarch64-linux-gnu-as -o libc.o libc.s
	aarch64-linux-gnu-as -o user.o user.s
	aarch64-linux-gnu-ld -shared -soname libc.so.6 --version-script map -o libc.so.6 libc.o
	aarch64-linux-gnu-ld -shared -o user.so user.o libc.so.6
	audit user.so
	jq -e '.files == [{path: "user.so", role: "library", machine: "aarch64",
		not_looked_at: "raw system calls are not available for this processor"}]' answer
	[ "$(jq -r '.imports | [.hooked, .unrelated, .unknown | map(.name) | join(" ")] | join(",")' answer)" = "openat,strlen,mq_open" ]
	# Its libraries are not this machine's.
	jq -e '.missing == [{name: "libc.so.6", by: "user.so"}]' answer
}

@test "the disassembler is an object of its own, that only an audit loads" {
	local object=$CPRSHIM_BUILDDIR/.libs/disasm.so
	run -0 nm -D --defined-only "$object"
	[[ $output =~ ^[0-9a-f]+\ D\ cprshim_disasm$ ]]
	run -0 readelf -d "$object" "$CPRCTL" "$SHIM"
	[[ $output != *libcapstone* ]]
	[ "$(stat -c %s "$SHIM" "$CPRCTL" | sort -n | tail -n 1)" -lt 4000000 ]
	run -0 env LD_DEBUG=files "$CPRCTL" audit "$SHIM"
	[[ $output == *"disasm.so"* ]]
	run -0 env LD_DEBUG=files "$CPRCTL" list --rundir "$VM_DIR/run"
	[[ $output != *"disasm.so"* ]]
}

@test "an installation without the disassembler says so and tells the rest" {
	mkdir "$VM_DIR/bin"
	cp "$CPRCTL" "$VM_DIR/bin/"
	run -0 "$VM_DIR/bin/cprctl" audit "$QEMU_OLD"
	[[ $output == *"not looked for: the disassembler, cprshim/disasm.so, is not installed"* ]]
	[[ $output == *"0 unknown"* ]]
	mkdir -p "$VM_DIR/lib/cprshim"
	echo "no library" >"$VM_DIR/lib/cprshim/disasm.so"
	run -0 "$VM_DIR/bin/cprctl" audit --json "$QEMU_OLD"
	[ "$(jq -r '"\(.disassembler) \(.no_disassembler)"' <<<"$output")" = "null the disassembler, disasm.so, cannot be loaded" ]
	cp "$CPRSHIM_BUILDDIR/.libs/disasm.so" "$VM_DIR/lib/cprshim/"
	run -0 "$VM_DIR/bin/cprctl" audit "$QEMU_OLD"
	[[ $output == *"raw system calls: "[1-9]* ]]
}

@test "a build without capstone says what it lacks" {
	[ ! -e "$CPRSHIM_SRCDIR/config.status" ] || skip "built in the source tree, which then has no second build beside it"
	mkdir "$VM_DIR/build"
	cd "$VM_DIR/build"
	"$(cd "$CPRSHIM_SRCDIR" && pwd)/configure" --without-capstone CFLAGS=-O0 >log 2>&1 || { tail log; return 1; }
	make -j2 cprctl >>log 2>&1 || { tail log; return 1; }
	run -0 make -n
	[[ $output != *disasm.lo* ]]
	run -0 ./cprctl audit "$QEMU_OLD"
	[[ $output == *"not looked for: this cprshim was built without a disassembler (configure --without-capstone)"* ]]
	[[ $output == *" hooked; "*"; 0 unknown"* ]]
}
