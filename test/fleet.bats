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

# boot NAME [QEMU ARGUMENTS]: one VM of several, in a folder of its own but for program and run directory; its PID is in PIDS[NAME]
boot() {
	local name=$1 all=$VM_DIR

	shift
	local VM_DIR=$all/$name VM_LOG=$all/$name/qemu.log VM_QMP=$all/$name/qmp.sock
	mkdir -p "$VM_DIR"
	ln -sfn "$all/run" "$VM_DIR/run"
	ln -sfn "$all/qemu-system-x86_64" "$VM_DIR/qemu-system-x86_64"
	use_vm "$name" "$all"
	boot_guest -M pc-q35-7.2 -name "$name" "$@"
	PIDS[$name]=$VM_PID
}

# use_vm NAME: it is the one that the functions of common.bash talk to
use_vm() {
	VM_CTL=${2:-$VM_DIR}/$1/ctl.sock
	VM_SERIAL=${2:-$VM_DIR}/$1/serial.sock
	VM_PID=${PIDS[$1]:-}
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

# fleet_update [OPTIONS]: cprctl update --all; its exit status, output and errors are in status, output and stderr
fleet_update() {
	run --separate-stderr ctl update --all "$@"
	echo "$status: $output; $stderr" >&2
}

# outcome NAME: what the JSON of the last fleet_update says of it
outcome() {
	jq -r --argjson pid "${PIDS[$1]}" '.vms[] | select(.pid == $pid) | .outcome' <<<"$output"
}

@test "update --all: usage" {
	local options

	for options in "--all 1" "--outdated 1" "--parallel 2 1" "--stop-on-failure 1" "--all --parallel 0" "--all --parallel 65" \
		"--all --binary /b" "--all --to /s" "--all --paused" "--all --command true"; do
		# shellcheck disable=SC2086 # words
		run -2 ctl update $options
	done
	fleet_update
	[ "$status" = 0 ]
	[ "$output" = "0 VMs" ]
}

@test "update --all --outdated: those that are, a line for each and a summary; once more, and nothing is left to do" {
	install "$QEMU_OLD"
	use_qemu "$VM_DIR/usr/bin/qemu-system-x86_64"
	boot one
	boot two
	boot three
	install "$QEMU_NEW"
	# By itself, and so not by the others' leave.
	use_vm two
	update_vm
	fleet_update --outdated --parallel 2
	[ "$status" = 0 ]
	grep -qE "^\[1/2\] [0-9]+ (one|three): updated from 7\.2\.[0-9]+ to 10\.[0-9.]+ by relay, blackout [0-9.]+ ms$" <<<"$output"
	[[ $output == *"[2/2] ${PIDS[one]} one: updated "* || $output == *"[2/2] ${PIDS[three]} three: updated "* ]]
	[ "${lines[2]}" = "2 VMs: 2 updated" ]
	[ -z "$stderr" ]
	fleet_update --outdated
	[ "$status" = 0 ]
	[ "$output" = "0 VMs" ]
	fleet_update --json -v
	[ "$status" = 0 ]
	jq -e '.summary.updated == 3 and (.vms | length) == 3 and .interrupted == false and .vms[0].result.to.version != null' <<<"$output"
	[[ $stderr == *" two: freeze: "* && $stderr == *"[3/3] "*": updated from 10."* ]]
	for name in one two three; do
		use_vm "$name"
		wait_for_guest 5
	done
}

@test "update --all: one that is refused does not hold the others up; with --stop-on-failure nothing more is begun, and 1 says so" {
	boot one
	boot two
	boot three
	ctl inhibit "${PIDS[two]}" --reason "a backup"
	use_qemu new
	fleet_update --outdated --json
	[ "$status" = 1 ]
	[ "$(outcome one) $(outcome two) $(outcome three)" = "updated refused updated" ]
	for name in one three; do
		ctl inhibit "${PIDS[$name]}"
	done
	fleet_update --stop-on-failure
	[ "$status" = 1 ]
	[[ ${lines[0]} == "[1/3] "*": refused: "*"inhibited"* ]]
	[ "${lines[3]}" = "3 VMs: 1 refused, 2 not begun" ]
	fleet_update --stop-on-failure --json
	jq -e '.summary == {"updated": 0, "refused": 1, "failed": 0, "lost": 0, "ended": 0, "not known to be outdated": 0, "not begun": 2}' \
		<<<"$output"
}

@test "update --all: one that fails, one that ends of its own accord meanwhile, one that does not say whether it is outdated" {
	printf '#!/bin/sh\nexec %s "$@"\n' "$QEMU_NEW" >"$VM_DIR/script"
	chmod 755 "$VM_DIR/script"
	CPRSHIM_FAULT=load:exit boot one
	CPRSHIM_BINARY=$VM_DIR/script boot two
	CPRSHIM_FAULT=@$VM_DIR/faults boot three
	echo "check:wait" >"$VM_DIR/faults"
	use_qemu new
	start_background "$VM_DIR/all.json" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --all --outdated --json --parallel 3
	wait_for 30 test -e "$VM_DIR/faults.check"
	qmp "$VM_DIR/three/ctl.sock" quit
	: >"$VM_DIR/faults"
	rm "$VM_DIR/faults.check"
	wait_for 60 test -s "$VM_DIR/all.json"
	output=$(cat "$VM_DIR/all.json")
	[ "$(outcome one) $(outcome two) $(outcome three)" = "failed not known to be outdated ended" ]
	use_vm one
	wait_for_guest 5
	fleet_update --method transfer
	[ "$status" = 1 ]
	[[ $output == *" two: updated from 7."*", it is process "*" now"* ]]
	STARTED+=("$(cat "$VM_DIR/two/pid")")
}

@test "update --all is interrupted: what is under way comes to its end, nothing more is begun, and the next run does what is left" {
	local signal all

	for signal in INT TERM; do
		use_qemu old
		for name in one two three; do
			echo >"$VM_DIR/$name.faults"
			CPRSHIM_FAULT=@$VM_DIR/$name.faults boot "$name"
			echo "stop:wait" >"$VM_DIR/$name.faults"
		done
		use_qemu new
		start_background "$VM_DIR/all.log" env --default-signal="$signal" "CPRSHIM_RUNDIR=$VM_DIR/run" \
			"$CPRCTL" update --all --outdated
		all=$!
		wait_for 30 test -e "$VM_DIR/one.faults.stop" -o -e "$VM_DIR/two.faults.stop" -o -e "$VM_DIR/three.faults.stop"
		kill -"$signal" "$all"
		wait_for 10 grep -q "interrupted: no more" "$VM_DIR/all.log"
		for name in one two three; do
			: >"$VM_DIR/$name.faults"
			rm -f "$VM_DIR/$name.faults.stop"
		done
		wait_for 60 is_gone "$all"
		grep -qx "3 VMs: 1 updated, 2 not begun" "$VM_DIR/all.log"
		fleet_update --outdated
		[ "$status" = 0 ]
		[ "${lines[2]}" = "2 VMs: 2 updated" ]
		for name in one two three; do
			use_vm "$name"
			wait_for_guest 5
			end_process "$VM_PID"
		done
		rm "$VM_DIR/all.log"
	done
}

# The command behind PID runs as that process.
AS_PROCESS='import os, sys
wanted, child = int(sys.argv[1]), 0
for i in range(10000):
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(wanted - 1))
    child = os.fork()
    if child == 0 and os.getpid() == wanted:
        os.execvp(sys.argv[2], sys.argv[2:])
    if child == 0:
        os._exit(0)
    if child == wanted:
        break
    os.waitpid(child, 0)
os.waitpid(child, 0)'

@test "update --all: a VM that ends before its turn, and another one that gets its process id: that one is left alone" {
	local all name first=one other=two

	for name in one two; do
		echo >"$VM_DIR/$name.faults"
		CPRSHIM_FAULT=@$VM_DIR/$name.faults boot "$name"
		echo "check:wait" >"$VM_DIR/$name.faults"
	done
	use_qemu new
	start_background "$VM_DIR/all.log" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --all --outdated
	all=$!
	wait_for 30 test -e "$VM_DIR/one.faults.check" -o -e "$VM_DIR/two.faults.check"
	[ -e "$VM_DIR/one.faults.check" ] || { first=two && other=one; }
	end_process "${PIDS[$other]}"
	use_qemu old
	VM_WRAPPER=(python3 -c "$AS_PROCESS" "${PIDS[$other]}")
	boot newcomer
	VM_PID=${PIDS[$other]}
	STARTED+=("$VM_PID")
	[ "$(ctl list --json | jq -r --argjson pid "$VM_PID" '.[] | select(.pid == $pid) | .name')" = newcomer ]
	use_qemu new
	: >"$VM_DIR/$first.faults"
	rm "$VM_DIR/$first.faults.check"
	wait_for 60 is_gone "$all"
	grep -qE "^\[2/2\] $VM_PID $other: ended" "$VM_DIR/all.log"
	grep -qx "2 VMs: 1 updated, 1 ended" "$VM_DIR/all.log"
	[ "$(update_count)" = 0 ]
	guest_alive
}

@test "update --all is killed, and interrupted twice: the updates that are under way come to their end" {
	local all

	boot_held() {
		echo >"$VM_DIR/faults"
		CPRSHIM_FAULT=@$VM_DIR/faults boot one
		echo "load:wait" >"$VM_DIR/faults"
		use_qemu new
		start_background "$VM_DIR/all.log" env --default-signal=INT "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --all
		all=$!
		wait_for 30 test -e "$VM_DIR/faults.load"
	}
	is_updated() {
		: >"$VM_DIR/faults"
		rm "$VM_DIR/faults.load"
		wait_for 30 is_gone "$all"
		wait_for 30 update_beyond 0
		update_history | jq -e 'last | .outcome == "updated"'
		wait_for_guest 5
	}
	boot_held
	kill -KILL "$all"
	is_updated
	end_process "$VM_PID"
	use_qemu old
	boot_held
	kill -INT "$all"
	wait_for 10 grep -q "interrupted: no more" "$VM_DIR/all.log"
	kill -TERM "$all"
	wait_for 10 is_gone "$all"
	is_updated
}

# sample METRIC [LABEL=VALUE...]: its value, as Prometheus' own parser reads what metrics prints
sample() {
	# The distribution's, which has the parser.
	/usr/bin/python3 - "$VM_DIR/metrics" "$@" <<-'END'
		import sys
		from prometheus_client.parser import text_string_to_metric_families
		wanted = dict(x.split("=", 1) for x in sys.argv[3:])
		found = [s.value for family in text_string_to_metric_families(open(sys.argv[1]).read()) for s in family.samples
		         if s.name == sys.argv[2] and all(s.labels.get(k) == v for k, v in wanted.items())]
		assert len(found) == 1, found
		print(f"{found[0]:g}")
	END
}

@test "metrics: VMs, outdated ones, updates by outcome and the blackouts, as Prometheus reads them" {
	boot one -name 'guest="a\b"'
	boot two
	ctl metrics >"$VM_DIR/metrics"
	[ "$(sample cprshim_vms) $(sample cprshim_vms_outdated) $(sample cprshim_vms_silent)" = "2 0 0" ]
	[ "$(sample cprshim_updates outcome=updated) $(sample cprshim_blackout_seconds_count method=relay)" = "0 0" ]
	# Backslashes are doubled in all output of cprctl.
	[ "$(sample cprshim_vm_info "pid=${PIDS[one]}" 'name="a\\b"')" = 1 ]
	use_vm two
	update_by_ctl --binary "$QEMU_NEW" --method exec
	update_by_ctl --binary "$QEMU_OLD" --method relay
	ctl inhibit "$VM_PID"
	fails update_by_ctl
	use_qemu new
	ctl metrics >"$VM_DIR/metrics"
	[ "$(sample cprshim_vms_outdated) $(sample cprshim_vm_outdated "pid=$VM_PID")" = "2 1" ]
	[ "$(sample cprshim_updates outcome=updated) $(sample cprshim_updates outcome=refused)" = "2 1" ]
	[ "$(sample cprshim_vm_updates_total "pid=$VM_PID" name=two)" = 2 ]
	[ "$(sample cprshim_blackout_seconds_count method=exec) $(sample cprshim_blackout_seconds_count method=relay)" = "1 2" ]
	[ "$(sample cprshim_blackout_seconds_bucket method=relay le=+Inf)" = 2 ]
	ctl history --json "$VM_PID" | jq -e --argjson sum "$(sample cprshim_blackout_seconds_sum method=exec)" \
		'.[0].blackout_ms / 1000 - $sum | fabs < 0.00001'
	kill -STOP "${PIDS[one]}"
	ctl metrics >"$VM_DIR/metrics"
	kill -CONT "${PIDS[one]}"
	[ "$(sample cprshim_vms) $(sample cprshim_vms_silent)" = "2 1" ]
}

# verdict SUBJECT: of the last doctor's
verdict() {
	jq -r --arg subject "$1" '[.[] | select(.subject == $subject) | .verdict] | join(" ")' <<<"$output"
}

@test "doctor: what the host has, what its limits and cprshim.conf are, and what stands against the update of each VM" {
	boot one
	run -0 ctl doctor --json
	[ "$(verdict kernel) $(verdict library) $(verdict policy) $(verdict sockets) $(verdict "VM $VM_PID one")" = "ok ok ok ok ok" ]
	[ "$(verdict ulimits)" = ok ]
	run -0 prlimit --nofile=512 env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" doctor --json
	[ "$(verdict ulimits)" = note ]
	ctl inhibit "$VM_PID" --reason "a backup"
	run -1 ctl doctor
	grep -qE "^problem +VM $VM_PID one +inhibited: .*a backup" <<<"$output"
	grep -qE "^ +do: .*uninhibit" <<<"$output"
	ctl uninhibit "$VM_PID"
	cp -a /etc "$VM_DIR/etc"
	echo "permit everything" >"$VM_DIR/etc/cprshim.conf"
	run -1 with_etc "$CPRCTL" doctor --json
	[ "$(verdict policy)" = problem ]
	[[ $output == *'/etc/cprshim.conf, line 1: \"permit\" is not understood'* ]]
	run -1 with_etc "$CPRCTL" update --all
	[[ $output == *'"permit" is not understood'* ]]
	[ "$(update_count)" = 0 ]
}

# doctor_where FILE TEXT [FILE TEXT]...: cprctl doctor --json on a host where these files have these lines; sets output
doctor_where() {
	# /sys and AppArmor's local rules are empty but for them, and of /proc one file is another.
	# shellcheck disable=SC2016 # the inner shell expands it
	run timeout 60 env "CPRSHIM_RUNDIR=$VM_DIR/run" "DOCTOR=$CPRCTL" "AT=$VM_DIR/doctor" unshare -m bash -ec '
		mount -t tmpfs none /sys
		mount -t tmpfs none /etc/apparmor.d/local
		for (( ; $# > 0; )); do
			case $1 in
			/sys/* | /etc/*) mkdir -p "${1%/*}" && echo "$2" >"$1" ;;
			*) echo "$2" >"$AT" && mount --bind "$AT" "$1" ;;
			esac
			shift 2
		done
		exec "$DOCTOR" doctor --json' bash "$@"
	echo "$output" >&2
}

# said SUBJECT: all that the last doctor has said of it
said() {
	jq -r --arg subject "$1" '.[] | select(.subject == $subject) | "\(.verdict): \(.text)"' <<<"$output"
}

@test "doctor: AppArmor, SELinux, huge pages, overcommitment, and what may be locked" {
	local thp=/sys/kernel/mm/transparent_hugepage overcommit=/proc/sys/vm/overcommit_memory

	doctor_where "$overcommit" 0
	[[ $(said memory) == "ok: "* ]]
	[ -z "$(said sandbox)" ]
	[ "$(said "huge pages")" = "ok: guest memory gets those that the kernel gives it" ]
	doctor_where "$overcommit" 2 /sys/module/apparmor/parameters/enabled Y
	[[ $(said memory) == "note: the host does not overcommit"* ]]
	[[ $(said sandbox) == "note: AppArmor is on: a profile for QEMU must"* ]]
	local rules=/etc/apparmor.d/local/abstractions/libvirt-qemu line
	for line in "" "# include <abstractions/cprshim>" "include <abstractions/other>"; do
		doctor_where /sys/module/apparmor/parameters/enabled Y "$rules" "$line"
		[[ $(said sandbox) == "note: AppArmor is on, and does not let VMs of libvirt"* ]]
	done
	for line in "include <abstractions/cprshim>" "  #include <abstractions/cprshim> # updates"; do
		doctor_where /sys/module/apparmor/parameters/enabled Y "$rules" "$line"
		[[ $(said sandbox) == "ok: AppArmor is on, and lets VMs of libvirt"* ]]
	done
	doctor_where /sys/fs/selinux/enforce 1 "$thp/enabled" "always [madvise] never" "$thp/shmem_enabled" "always [advise] never"
	[[ $(said sandbox) == "note: SELinux is enforcing"* ]]
	[ "$(said "huge pages")" = "ok: guest memory gets those that the kernel gives it" ]
	doctor_where /sys/fs/selinux/enforce 0 /sys/module/apparmor/parameters/enabled N \
		"$thp/enabled" "[always] madvise never" "$thp/shmem_enabled" "always advise [never]"
	[ -z "$(said sandbox)" ]
	[[ $(said "huge pages") == "ok: the kernel gives shared memory none (shmem_enabled); the shim makes them"* ]]
	# The limit does not hold for root.
	chmod 755 "$VM_DIR"
	cp "$CPRCTL" "$SHIM" "$VM_DIR"
	# shellcheck disable=SC2016 # the inner shell expands it
	run unshare -m sh -ec 'mount -t tmpfs -o mode=755 none /run; exec "$@"' - \
		setpriv --reuid nobody --clear-groups prlimit --memlock=8388608:8388608 "$VM_DIR/cprctl" doctor --json
	[[ $(said memlock) == "note: a VM started from here may lock 8192 KiB"* ]]
	[[ $(said sockets) == "problem: neither "* ]]
	[ "$status" = 1 ]
}

@test "doctor: an old kernel, by what uname(2) says" {
	local thp=/sys/kernel/mm/transparent_hugepage release

	cat >"$VM_DIR/old.c" <<-'END'
		#include <string.h>
		#include <sys/utsname.h>
		int uname(struct utsname *name)
		{
			memset(name, 0, sizeof(*name));
			strcpy(name->release, RELEASE);
			return 0;
		}
	END
	for release in 5.10.0-28-amd64 6.0.19; do
		"${CC:-gcc}" -shared -fPIC -DRELEASE="\"$release\"" -o "$VM_DIR/$release.so" "$VM_DIR/old.c"
	done
	LD_PRELOAD=$VM_DIR/5.10.0-28-amd64.so run -1 ctl doctor --json
	[ "$(said kernel)" = "problem: Linux 5.10.0-28-amd64 is too old" ]
	LD_PRELOAD=$VM_DIR/6.0.19.so doctor_where "$thp/enabled" "[always] madvise never" "$thp/shmem_enabled" "always [never]"
	[[ $(said kernel) == "ok: Linux 6.0.19, glibc "* ]]
	[[ $(said "huge pages") == "note: "*"guests run with small pages" ]]
}

# with_etc COMMAND...: where $VM_DIR/etc is /etc
with_etc() {
	# shellcheck disable=SC2016 # the inner shell expands it
	CPRSHIM_RUNDIR=$VM_DIR/run PATH=$CPRSHIM_BUILDDIR:$PATH timeout 60 \
		unshare -m sh -c 'mount --bind "$0" /etc && exec "$@"' "$VM_DIR/etc" "$@"
}

# apt_hook: what apt runs once packages have been installed
apt_hook() {
	local command

	command=$(apt-config -c "$CPRSHIM_SRCDIR/contrib/apt-cprshim.conf" dump --format '%f %v%n' |
		sed -n 's/^DPkg::Post-Invoke:: \(.*cprctl.*\)/\1/p')
	[ -n "$command" ]
	run -0 with_etc sh -c "$command"
	echo "$output" >&2
}

@test "after an upgrade: outdated VMs are listed; left alone or updated where cprshim.conf says so" {
	cp -a /etc "$VM_DIR/etc"
	rm -f "$VM_DIR/etc/cprshim.conf"
	boot one
	boot two
	apt_hook
	[ -z "$output" ]
	use_qemu new
	ctl update --method exec "${PIDS[two]}"
	apt_hook
	[[ $output == *"are on disk now: 1"*"${PIDS[one]} "*"To update them: cprctl update --all --outdated"* ]]
	fails grep -q "^${PIDS[two]} " <<<"$output"
	[ "$(update_count)" = 1 ]
	echo "update-on-upgrade no" >"$VM_DIR/etc/cprshim.conf"
	apt_hook
	[ -z "$output" ]
	echo "update-on-upgrade perhaps" >"$VM_DIR/etc/cprshim.conf"
	apt_hook
	[[ $output == *"not understood: no VM is updated"*"To update them"* ]]
	run -1 with_etc "$CPRCTL" after-upgrade
	echo "update-on-upgrade yes" >"$VM_DIR/etc/cprshim.conf"
	apt_hook
	[[ $output == *"[1/1] ${PIDS[one]} one: updated from "*"1 VM: 1 updated"* ]]
	apt_hook
	[ -z "$output" ]
	use_vm one
	wait_for_guest 5
}

# traced: what bpftrace has seen so far, by the names of the probes alone
traced() {
	sed 's/.*:cprshim://' "$VM_DIR/trace.log" | tr '\n' ' '
}

trace_ends() {
	[[ $(traced) == *" end $1 "* ]]
}

@test "probes: bpftrace sees an update's stages in order, its outcome and blackout; and a way back with its reason" {
	bpftrace -e 'BEGIN { exit(); }' || skip "this kernel lets bpftrace do nothing"
	CPRSHIM_FAULT=@$VM_DIR/faults boot one
	: >"$VM_DIR/faults"
	start_background "$VM_DIR/trace.log" bpftrace -e "
		BEGIN { printf(\"begin\n\"); }
		usdt:$SHIM:cprshim:stage /pid == $VM_PID/ { printf(\"%s\n\", str(arg0)); }
		usdt:$SHIM:cprshim:stopping, usdt:$SHIM:cprshim:saved, usdt:$SHIM:cprshim:exec, usdt:$SHIM:cprshim:started,
		usdt:$SHIM:cprshim:up, usdt:$SHIM:cprshim:loaded, usdt:$SHIM:cprshim:commit, usdt:$SHIM:cprshim:running
			/pid == $VM_PID/ { printf(\"%s\n\", probe); }
		usdt:$SHIM:cprshim:back { printf(\"back: %s\n\", str(arg0)); }
		usdt:$SHIM:cprshim:update__end { printf(\"end %s %s %d us\n\", str(arg0), str(arg1), arg2); }"
	wait_for 20 grep -q begin "$VM_DIR/trace.log"
	update_by_ctl --method exec --no-rehearse --binary "$QEMU_NEW"
	wait_for 10 trace_ends updated
	[[ $(traced) == *"begin check probe flush freeze stopping saved exec started up loaded commit running end updated exec "* ]]
	jq -e --argjson us "$(sed -n 's/^end updated exec \([0-9]*\) us$/\1/p' "$VM_DIR/trace.log")" \
		'.blackout_ms * 1000 - $us | fabs <= 1' <<<"$UPDATE_RESULT"
	echo "load:exit" >"$VM_DIR/faults"
	fails update_by_ctl --method exec --no-rehearse --binary "$QEMU_OLD"
	wait_for 10 grep -q "end failed exec" "$VM_DIR/trace.log"
	grep -q "^back: the new QEMU called exit(3) before it ran the guest" "$VM_DIR/trace.log"
}

# complete_words WORD...: what bash offers for the last one, as a list
complete_words() {
	# shellcheck disable=SC2016 # the inner shell expands it
	CPRSHIM_RUNDIR=$VM_DIR/run bash -c 'source "$0" && COMP_WORDS=("$@") && COMP_CWORD=$(($# - 1)) &&
		_cprctl "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" && echo "${COMPREPLY[*]}"' \
		"$CPRSHIM_SRCDIR/contrib/bash-completion/cprctl" "$CPRCTL" "$@"
}

@test "bash completion: every command, the options of each and no other's, their values, PIDs of VMs, files" {
	local command

	[ "$(complete_words up)" = update ]
	for command in $(ctl --help | sed -n 's/^  \([a-z-]*\)  *[A-Z][a-z].*/\1/p'); do
		[[ " $(complete_words '') " == *" $command "* ]]
		[[ " $(complete_words "$command" --) " == *" --help "* ]]
	done
	[ "$command" = uninhibit ]
	[[ " $(complete_words '') " != *" cprctl "* ]]
	[ "$(complete_words update --st)" = --stop-on-failure ]
	[ "$(complete_words update --ver)" = "--verbose --version" ]
	[ -z "$(complete_words list --st)" ]
	[ "$(complete_words update --method re)" = relay ]
	[ -z "$(complete_words update --timeout '')" ]
	boot one
	[[ " $(complete_words update '') " == *" $VM_PID "* ]]
	[[ " $(complete_words status "${VM_PID%?}") " == *" $VM_PID "* ]]
	[[ " $(complete_words audit "$VM_DIR/on") " == *" $VM_DIR/one "* ]]
	[[ " $(complete_words run --binary "$VM_DIR/on") " == *" $VM_DIR/one "* ]]
	[[ " $(complete_words run -- bas) " == *" bash "* ]]
	[[ " $(complete_words run -- bash "$VM_DIR/on") " == *" $VM_DIR/one "* ]]
	# bash knows it by the command's name.
	bash -c 'source "$0" && complete -p cprctl' "$CPRSHIM_SRCDIR/contrib/bash-completion/cprctl" | grep -qF -- "-F _cprctl cprctl"
}
