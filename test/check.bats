#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# check.bats - what stands against an update: each has a code, a why and a what to do; what the replacement is and lacks.

bats_require_minimum_version 1.5.0

load lib/common

setup() { setup_vm_dir; }
teardown() { teardown_vm_dir; }

MACHINE=pc-q35-7.2

# codes CODE...: the answer in $output has these blockers and no others, each whole.
codes() {
	echo "$output" >&2
	[ "$(jq -c '[.blockers[].code] | sort' <<<"$output")" = "$(jq -nc '$ARGS.positional | sort' --args -- "$@")" ]
	jq -e '.blockers | all([.code, .what, .why, .do] | all(type == "string" and length > 3))' <<<"$output"
	jq -e '[.blockers[] | .what + ": " + .do] == .reasons' <<<"$output"
}

@test "every blocker has a code of its own, is used, and stands in docs/blockers.md" {
	cd "$CPRSHIM_SRCDIR"
	diff <(scripts/list-blockers) <(grep '^| `' docs/blockers.md)
	local names
	names=$(sed -n 's/^BLOCKER(\([A-Z_]*\),.*/\1/p' loader/blockers.def)
	[ "$(grep -c '' <<<"$names")" -gt 90 ]
	[ "$(grep -c '' <<<"$names")" = "$(scripts/list-blockers | grep -cE '^\| `[a-z0-9]+(-[a-z0-9]+)*` \| .+ \| .+ \|$')" ]
	[ -z "$(scripts/list-blockers | cut -d '|' -f 2 | sort | uniq -d)" ]
	scripts/list-blockers | cut -d '`' -f 2 | LC_ALL=C sort -C
	local name
	for name in $names; do
		grep -qw "BLOCKER_$name" loader/*.c || {
			echo "never used: $name" >&2
			return 1
		}
	done
}

@test "check says what, why and what to do, in words and as JSON; it changes nothing" {
	qemu-img create -q -f raw "$VM_DIR/disk.raw" 16M
	CPRSHIM_HUGEPAGES=off boot_guest -M $MACHINE -device edu \
		-drive "file=$VM_DIR/disk.raw,format=raw,if=none,id=raw,snapshot=on" -device virtio-blk-pci,drive=raw,id=disk
	start_qmp_client
	take_state before
	run -1 ctl check --json "$VM_PID"
	codes device-no-state snapshot-option
	run -1 ctl check --json --binary /bin/true "$VM_PID"
	codes binary-no-qemu device-no-state snapshot-option
	run -1 ctl check "$VM_PID"
	echo "$output" >&2
	[[ "$output" == *"  device-no-state: this QEMU does not save"*"    why: "*"    do:  start the VM without it"* ]]
	state_is before
	[ "$(update_count)" = 0 ]
	stop_qmp_client >"$VM_DIR/summary.json"
	jq -e '.events == []' "$VM_DIR/summary.json"
	guest_alive
}

@test "check names what the replacement is, and every library and module that it lacks" {
	boot_guest -M $MACHINE -accel tcg
	run -0 ctl check --json --binary "$QEMU_NEW" "$VM_PID"
	jq -e '.to | (.version | startswith("10.")) and .target == "x86_64" and (.machines | contains(["pc-q35-7.2", "microvm"])) and
		(.package | length > 0)' <<<"$output"
	run -0 ctl check --binary "$QEMU_NEW" "$VM_PID"
	[[ "$output" == *"replacement: $QEMU_NEW, QEMU 10."*" for x86_64, with "*" machine types"* ]]

	mkdir -p "$VM_DIR/lacks" "$VM_DIR/new/bin" "$VM_DIR/new/lib/x86_64-linux-gnu/qemu"
	cd "$VM_DIR/lacks"
	local name
	for name in one two; do
		echo "int $name(void) { return 0; }" >"$name.c"
		"${CC:-gcc}" -shared -fPIC -o "lib$name.so" "$name.c"
	done
	echo 'int one(void); int two(void); int main(void) { return one() + two(); }' >program.c
	"${CC:-gcc}" -o qemu-system-x86_64 program.c ./libone.so ./libtwo.so
	rm libone.so libtwo.so
	cd "$OLDPWD"
	run -1 ctl check --json --binary "$VM_DIR/lacks/qemu-system-x86_64" "$VM_PID"
	codes library-missing library-missing
	jq -e '.reasons | any(contains("libone.so,")) and any(contains("libtwo.so,"))' <<<"$output"

	# This QEMU's translator is a module; a new one without it is found out without being brought up.
	cp "$QEMU_OLD" "$VM_DIR/new/bin/qemu-system-x86_64"
	cp /usr/lib/x86_64-linux-gnu/qemu/*.so "$VM_DIR/new/lib/x86_64-linux-gnu/qemu"
	run -0 ctl check --json --binary "$VM_DIR/new/bin/qemu-system-x86_64" "$VM_PID"
	rm "$VM_DIR/new/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so"
	run -1 ctl check --json --binary "$VM_DIR/new/bin/qemu-system-x86_64" "$VM_PID"
	codes module-missing
	jq -e '.reasons[0] | contains(" accel-tcg-x86_64 ")' <<<"$output"
	guest_alive
}

@test "the running QEMU is started again before each update: without it there is no update" {
	mkdir -p "$VM_DIR/old/bin" "$VM_DIR/old/lib/x86_64-linux-gnu/qemu"
	cp "$QEMU_OLD" "$VM_DIR/old/bin/qemu-system-x86_64"
	cp /usr/lib/x86_64-linux-gnu/qemu/*.so "$VM_DIR/old/lib/x86_64-linux-gnu/qemu"
	local module=$VM_DIR/old/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so
	export CPRSHIM_BINARY=$QEMU_NEW
	use_qemu "$VM_DIR/old/bin/qemu-system-x86_64"
	boot_guest -M $MACHINE -accel tcg -L /usr/share/seabios -L /usr/share/qemu
	start_serial_client
	# The file stays the one that the running QEMU has loaded; what it holds does not.
	head -c 16 "$module" >"$VM_DIR/head"
	dd if=/dev/zero of="$module" bs=16 count=1 conv=notrunc status=none
	run -1 ctl check --json "$VM_PID"
	codes way-back
	jq -e '.reasons[0] | test("^there would be no way back: .*accel-tcg-x86_64.so: invalid ELF header")' <<<"$output"
	run -1 ctl update --json "$VM_PID"
	codes way-back
	jq -e '.outcome == "refused"' <<<"$output"
	dd if="$VM_DIR/head" of="$module" bs=16 count=1 conv=notrunc status=none
	# Removed, it is still held: there is a way back.
	rm -r "$VM_DIR/old"
	run -0 ctl update --json "$VM_PID"
	vm_runs new
	stop_serial_client
}
