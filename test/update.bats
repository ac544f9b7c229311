#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# update.bats - updates of a running guest between real QEMUs: what goes on, and what the process looks like afterwards.
#
# The guest is the bare-metal one, whose ticks rise by one and whose RAM pattern is checked at each tick. What becomes of
# connections is test/rebind.bats' matter.

load lib/common

setup() { setup_vm_dir; }
teardown() {
	teardown_vm_dir
	[ -z "$VM_CGROUP" ] || wait_for 5 remove_cgroups
}

# The machine that both versions know, and that an alias of 7.2 stands for.
MACHINE=pc-q35-7.2

# --- what a process has, to be compared ---

# Blocked and ignored signals of the main thread, and the masks of all threads but ours.
signals_of() {
	grep -E '^Sig(Blk|Ign)' "/proc/$1/status"
	local task

	for task in "/proc/$1/task"/*; do
		if [ "$(cat "$task/comm")" != cprshim ]; then
			grep -h '^SigBlk' "$task/status"
		fi
	done | sort -u
}

# thread_id vcpu N, or thread_id iothread ID
thread_id() {
	if [ "$1" = vcpu ]; then
		vm_ctl query-cpus-fast | jq ".[] | select(.\"cpu-index\" == $2) | .\"thread-id\""
	else
		vm_ctl query-iothreads | jq ".[] | select(.id == \"$2\") | .\"thread-id\""
	fi
}

# What the kernel has for a thread: CPUs, policy and priority, nice value.
attributes() {
	taskset -cp "$1" | sed 's/.*: //'
	chrt -p "$1" | sed 's/.*: //'
	ps -L -o lwp=,ni= -p "$VM_PID" | awk -v tid="$1" '$1 == tid { print $2 }'
}

# The guest has come through so far, with two clients that saw nothing wrong.
begin_watch() {
	start_serial_client --rate 100
	start_qmp_client
}

end_watch() {
	guest_alive
	stop_serial_client
	stop_qmp_client
}

# A second VM, with a directory of its own; its PID stays in SECOND_PID.
in_second_vm() {
	local dir=$VM_DIR/second
	local VM_DIR=$dir VM_PID=${SECOND_PID:-} VM_LOG=$dir/qemu.log VM_QMP=$dir/qmp.sock
	local VM_CTL=$dir/ctl.sock VM_SERIAL=$dir/serial.sock SERIAL_PID="" rc=0

	mkdir -p "$VM_DIR/run"
	"$@" || rc=$?
	SECOND_PID=$VM_PID
	return "$rc"
}

incoming_vm() {
	use_qemu "$1"
	shift
	start_vm -nodefaults -m 256 -kernel "$GUEST" -incoming "unix:$VM_DIR/migration" "$@"
}

migrated() {
	case $(vm_ctl query-migrate | jq -r .status) in
	completed) ;;
	failed | cancelled) vm_ctl query-migrate >&2 && return 0 ;;
	*) return 1 ;;
	esac
}

migrate_to_second() {
	vm_ctl "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"unix:$VM_DIR/second/migration\"}}"
	wait_for 30 migrated
	[ "$(vm_ctl query-migrate | jq -r .status)" = completed ]
}

# --- versions and machines ---

@test "7.2 to 7.2: same PID, same pidfile, the guest counts on, clients see nothing" {
	boot_guest -M q35
	begin_watch
	local pid=$VM_PID pidfile inode
	pidfile=$(cat "$VM_DIR/pid")
	inode=$(stat -c %i "$VM_DIR/pid")

	update_vm
	[ "$(cat "$VM_DIR/pid")" = "$pidfile" ]
	[ "$pidfile" = "$pid" ]
	[ "$(stat -c %i "$VM_DIR/pid")" = "$inode" ]
	[ "$(vm_state)" = running ]
	[ "$(cat "/proc/$VM_PID/comm")" = qemu-system-x86 ]
	end_watch
	[ ! -s "$VM_LOG" ]
}

@test "7.2 to 10.0 and back, machine alias q35: each monitor sees the version that runs" {
	boot_guest -M q35
	begin_watch
	[ "$(vm_version)" = 7.2 ]
	update_vm new
	vm_runs new
	[ "$(vm_version)" = 10.0 ]
	[ "$(vm_ctl '{"execute": "qom-get", "arguments": {"path": "/machine", "property": "type"}}')" = '"pc-q35-7.2-machine"' ]
	guest_alive
	update_vm old
	vm_runs old
	[ "$(vm_version)" = 7.2 ]
	end_watch
	[ ! -s "$VM_LOG" ]
}

@test "10.0 to 7.2 and back" {
	use_qemu new
	boot_guest -M "$MACHINE"
	begin_watch
	update_vm old
	[ "$(vm_version)" = 7.2 ]
	guest_alive
	update_vm new
	[ "$(vm_version)" = 10.0 ]
	end_watch
	[ ! -s "$VM_LOG" ]
}

@test "10.0 as q35 keeps its machine type; 7.2, which does not know it, is refused" {
	use_qemu new
	boot_guest -M q35
	begin_watch
	update_vm
	[ "$(vm_ctl '{"execute": "qom-get", "arguments": {"path": "/machine", "property": "type"}}')" = '"pc-q35-10.0-machine"' ]
	fails update_vm old
	[ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = refused ]
	jq -e '.reasons[] | test("pc-q35-10.0")' <<<"$UPDATE_RESULT"
	[ "$(vm_version)" = 10.0 ]
	end_watch
}

@test "machine pc, 7.2 to 10.0 and back" {
	boot_guest -M pc
	begin_watch
	update_vm new
	[ "$(vm_version)" = 10.0 ]
	guest_alive
	update_vm old
	end_watch
	[ ! -s "$VM_LOG" ]
}

@test "no -M at all: the default machine of the binary that started stays" {
	boot_guest
	begin_watch
	local machine
	machine=$(vm_ctl '{"execute": "qom-get", "arguments": {"path": "/machine", "property": "type"}}')
	update_vm new
	[ "$(vm_ctl '{"execute": "qom-get", "arguments": {"path": "/machine", "property": "type"}}')" = "$machine" ]
	[ "$machine" = '"pc-i440fx-7.2-machine"' ]
	end_watch
}

@test "QEMU's default devices: VGA, network card and floppy come through" {
	start_vm -m 256 -kernel "$GUEST" -M q35 -vga std
	wait_for_guest 20
	begin_watch
	update_vm new
	update_vm old
	end_watch
	# A 10.0 that lies in a folder has not all of its modules there, and says so.
	fails grep -vE 'failed to initialize module|Only modules from the same build' "$VM_LOG"
}

@test "four vCPUs under TCG: the other processors count on" {
	boot_guest -M q35 -smp 4 -append aps
	begin_watch
	local before after
	send_serial a
	before=$(wait_serial 5 'A [0-9]+ [0-9]+ [0-9]+$')
	update_vm new
	send_serial a
	wait_for 5 counters_moved "$before"
	update_vm old
	send_serial a
	end_watch
}

counters_moved() {
	local now old i

	read -ra old <<<"$1"
	read -ra now <<<"$(wait_serial 5 'A [0-9]+ [0-9]+ [0-9]+$')"
	for i in 1 2 3; do
		[ "${now[i]}" -gt "${old[i]}" ] || return 1
	done
}

@test "KVM, one and two vCPUs, 7.2 to 10.0 and back" {
	kvm_works || skip "KVM does not run this guest here"
	local cpus
	for cpus in 1 2; do
		use_qemu old
		boot_guest -M q35 -accel kvm -smp "$cpus" -append kib=64
		begin_watch
		update_vm new
		guest_alive
		update_vm old
		end_watch
		fails grep -vE "terminating on signal|host doesn't support requested feature" "$VM_LOG"
		end_process "$VM_PID"
	done
}

@test "fifty updates in a row leave no descriptor, mapping, thread or byte of memory more than two did" {
	CPRSHIM_HUGEPAGES=off boot_guest -M q35 -object iothread,id=io0
	begin_watch
	local i to

	for ((i = 1; i <= 50; i++)); do
		to=old
		[ $((i % 2)) = 0 ] || to=new
		update_vm "$to"
		wait_for 5 has_no_child
		[ "$i" != 2 ] || take_state two
	done
	state_is two
	[ "$(CPRSHIM_RUNDIR=$VM_DIR/run "$CPRCTL" status --json "$VM_PID" | jq '.data.generation // .generation')" = 50 ]
	end_watch
	# The last of them are kept.
	update_history | jq -e 'length > 20 and all(.ok)'
	[ ! -s "$VM_LOG" ]
}

@test "after two updates the process is what it was before them, and after four: descriptors, flags, locks, mappings, threads" {
	qemu-img create -q -f qcow2 "$VM_DIR/disk.qcow2" 16M
	truncate -s 64M "$VM_DIR/ram"
	CPRSHIM_HUGEPAGES=off boot_guest -M q35 -smp 2 -chardev "file,id=log,path=$VM_DIR/console" -device isa-debugcon,chardev=log \
		-chardev pty,id=pty0 -device isa-serial,chardev=pty0 \
		-device virtio-serial-pci -chardev "socket,id=ga,path=$VM_DIR/ga.sock,server=on,wait=off" \
		-device virtserialport,chardev=ga,name=ga -object iothread,id=io0 \
		-drive "file=$VM_DIR/disk.qcow2,if=none,id=disk,format=qcow2" -device virtio-blk-pci,drive=disk,iothread=io0 \
		-object "memory-backend-file,share=on,mem-path=$VM_DIR/ram,id=m0,size=64M" -numa node,memdev=m0 \
		-object memory-backend-memfd,id=m1,size=64M -numa node,memdev=m1 \
		-object memory-backend-ram,id=m2,size=64M,share=on -numa node,memdev=m2 \
		-object memory-backend-ram,id=m3,size=64M -numa node,memdev=m3
	begin_watch
	take_state start
	# The comparison looks at something: the preserved, with a lock on the disk and a terminal among the rest.
	jq -e '(.preserved | length) > 10 and (.others | keys | map(test("disk.qcow2.*OFDLCK")) | any)' "$VM_DIR/start.state"
	jq -e '[.preserved[] | select(.kind == "pty-master") | .termios | length] == [7]' "$VM_DIR/start.state"
	update_vm new
	fails state_now_is start >"$VM_DIR/other"
	update_vm old
	wait_for 5 has_no_child
	state_is start
	take_state two
	update_vm new
	update_vm old
	wait_for 5 has_no_child
	state_is two
	end_watch
}

# --- running and paused ---

@test "paused stays paused, and its images are activated by cont" {
	boot_guest -M q35
	start_serial_client
	vm_ctl stop
	local ticks
	ticks=$(last_tick)
	update_vm new
	[ "$(vm_state)" = paused ]
	update_vm old
	[ "$(vm_state)" = paused ]
	sleep 0.2
	[ "$(last_tick)" = "$ticks" ]
	vm_ctl cont
	guest_alive
	stop_serial_client
}

@test "update --paused leaves a running guest held, and cont runs it" {
	boot_guest -M q35
	start_serial_client
	use_qemu new
	update_by_ctl --paused
	[ "$(vm_state)" = paused ]
	local ticks
	ticks=$(last_tick)
	sleep 0.2
	[ "$(last_tick)" = "$ticks" ]
	vm_ctl cont
	guest_alive
	# What was held once is not held for good.
	update_vm old
	[ "$(vm_state)" = running ]
	guest_alive
	stop_serial_client
}

@test "started with -S: refused before cont, updated after it, and the guest runs" {
	start_vm -nodefaults -m 256 -kernel "$GUEST" -M q35 -S
	[ "$(vm_state)" = prelaunch ]
	fails update_vm new
	jq -e '.reasons[] | test("prelaunch")' <<<"$UPDATE_RESULT"
	vm_ctl cont
	wait_for_guest 10
	start_serial_client
	update_vm new
	[ "$(vm_state)" = running ]
	guest_alive
	stop_serial_client
}

@test "started with -incoming: refused while it waits, updated after the migration, and migrated on" {
	boot_guest -M q35
	in_second_vm incoming_vm old -M q35
	[ "$(in_second_vm vm_state)" = inmigrate ]
	fails in_second_vm update_vm new
	migrate_to_second
	in_second_vm wait_for_guest 10
	in_second_vm update_vm new
	in_second_vm wait_for_guest 10
	[ "$(in_second_vm vm_version)" = 10.0 ]
	in_second_vm update_vm old
	in_second_vm wait_for_guest 10
	[ "$(in_second_vm vm_state)" = running ]
	in_second_vm end_process "$SECOND_PID"
}

# --- ways to start ---

@test "-daemonize with relative paths, -D and a relative program name" {
	cd "$VM_DIR"
	CPRSHIM_RUNDIR=$VM_DIR/run CPRSHIM_LOGFILE=$VM_DIR/shim.log LD_PRELOAD=$SHIM ./qemu-system-x86_64 -daemonize \
		-nodefaults -display none -M q35 -m 256 -kernel "$GUEST" -pidfile pid -D debug.log -d cpu_reset \
		-serial unix:serial.sock,server=on,wait=off -qmp unix:ctl.sock,server=on,wait=off \
		-qmp unix:qmp.sock,server=on,wait=off 3>&- 4>&-
	cd /
	VM_PID=$(cat "$VM_DIR/pid")
	STARTED+=("$VM_PID")
	wait_for 10 test -S "$VM_DIR/run/$VM_PID.sock"
	wait_for_guest 20
	begin_watch
	local before inode cwd log_inode
	inode=$(stat -c %i "$VM_DIR/serial.sock")
	log_inode=$(stat -c %i "$VM_DIR/debug.log")
	cwd=$(readlink "/proc/$VM_PID/cwd")
	before=$(stat -c %s "$VM_DIR/debug.log")
	[ "$before" -gt 0 ]
	head -c "$before" "$VM_DIR/debug.log" >"$VM_DIR/debug.before"

	update_vm new
	[ "$(cat "$VM_DIR/pid")" = "$VM_PID" ]
	vm_runs new
	[ "$(readlink "/proc/$VM_PID/cwd")" = "$cwd" ]
	update_vm old
	end_watch
	[ "$(stat -c %i "$VM_DIR/serial.sock")" = "$inode" ]
	[ "$(stat -c %i "$VM_DIR/debug.log")" = "$log_inode" ]
	cmp -n "$before" "$VM_DIR/debug.log" "$VM_DIR/debug.before"
	# The processors of each QEMU are reset once, and say so.
	[ "$(stat -c %s "$VM_DIR/debug.log")" -gt "$before" ]
	# An ordinary end removes the pidfile.
	vm_ctl quit || true
	wait_for 5 is_gone "$VM_PID"
	[ ! -e "$VM_DIR/pid" ]
}

@test "as cprctl run starts it" {
	boot_by_ctl
	begin_watch
	update_vm new
	end_watch
}

boot_by_ctl() {
	start_background "$VM_LOG" env "CPRSHIM_RUNDIR=$VM_DIR/run" "CPRSHIM_LOGFILE=$VM_DIR/shim.log" "CPRSHIM_LIB=$SHIM" \
		"$CPRCTL" run -- "$VM_DIR/qemu-system-x86_64" -nodefaults -display none -M q35 -m 256 -kernel "$GUEST" \
		-serial "unix:$VM_SERIAL,server=on,wait=off" -qmp "unix:$VM_QMP,server=on,wait=off" \
		-qmp "unix:$VM_CTL,server=on,wait=off"
	VM_PID=$!
	wait_for 20 vm_answers_or_ended
	wait_for_guest 20
}

# --- what the process is like afterwards ---

@test "affinity, policy and nice value of vCPU, I/O and main thread are as they were set from outside" {
	boot_guest -M q35 -smp 2 -accel tcg,thread=multi -object iothread,id=io0
	begin_watch
	local vcpu0 vcpu1 io before
	vcpu0=$(thread_id vcpu 0)
	vcpu1=$(thread_id vcpu 1)
	io=$(thread_id iothread io0)
	taskset -cp 1 "$vcpu0"
	taskset -cp 0 "$vcpu1"
	chrt -b -p 0 "$vcpu1"
	renice -n 4 -p "$vcpu0"
	chrt -r -p 3 "$io" || chrt -b -p 0 "$io"
	taskset -cp 1 "$io"
	taskset -cp 0,1 "$VM_PID"
	renice -n 2 -p "$VM_PID"
	before=$(for tid in "$vcpu0" "$vcpu1" "$io" "$VM_PID"; do attributes "$tid"; done)
	[ "$(sort -u <<<"$before" | wc -l)" -ge 5 ]

	update_vm new
	[ "$(for tid in "$(thread_id vcpu 0)" "$(thread_id vcpu 1)" "$(thread_id iothread io0)" "$VM_PID"; do
		attributes "$tid"
	done)" = "$before" ]
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	# The main thread alone, on one processor: the others must not follow it.
	taskset -cp 0 "$VM_PID"
	update_vm old
	[ "$(attributes "$VM_PID" | head -n 1)" = 0 ]
	[ "$(attributes "$(thread_id vcpu 0)" | head -n 1)" = 1 ]
	end_watch
}

# Where the kernel has threads, in each hierarchy.
thread_cgroups() {
	local tid

	for tid in "$(thread_id vcpu 0)" "$(thread_id vcpu 1)" "$(thread_id iothread io0)"; do
		sort "/proc/$VM_PID/task/$tid/cgroup"
	done
}

VM_CGROUP=
remove_cgroups() {
	local mount

	while read -r mount; do
		[ ! -e "$mount/$VM_CGROUP" ] || find "$mount/$VM_CGROUP" -depth -type d -exec rmdir {} + || return
	done < <(awk '$3 ~ "^cgroup" { print $2 }' /proc/mounts)
}

# thread_cgroup TID NAME: a cgroup of its own for a thread, below the VM's, in the unified hierarchy and in version 1's for CPU time.
thread_cgroup() {
	local mount

	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	if [ -n "$mount" ]; then
		mkdir -p "$mount/$VM_CGROUP"
		[ "$(cat "$mount/$VM_CGROUP/cgroup.type")" = "domain threaded" ] || echo "$VM_PID" >"$mount/$VM_CGROUP/cgroup.procs"
		mkdir -p "$mount/$VM_CGROUP/$2"
		echo threaded >"$mount/$VM_CGROUP/$2/cgroup.type"
		echo "$1" >"$mount/$VM_CGROUP/$2/cgroup.threads"
	fi
	mount=$(awk '$3 == "cgroup" && ("," $4 ",") ~ ",cpu," { print $2; exit }' /proc/mounts)
	if [ -n "$mount" ]; then
		mkdir -p "$mount/$VM_CGROUP/$2"
		echo "$1" >"$mount/$VM_CGROUP/$2/tasks"
	fi
}

@test "vCPU and I/O threads are in the cgroups that they were put into from outside" {
	local before

	boot_guest -M q35 -smp 2 -accel tcg,thread=multi -object iothread,id=io0
	VM_CGROUP=cprshim-${VM_DIR##*.}
	thread_cgroup "$(thread_id vcpu 1)" vcpu1
	thread_cgroup "$(thread_id iothread io0)" io0
	before=$(thread_cgroups)
	grep -q vcpu1 <<<"$before"
	update_vm new
	jq -e '.method == "relay" and .warnings == []' <<<"$UPDATE_RESULT"
	diff <(echo "$before") <(thread_cgroups)
	update_vm old
	jq -e '.method == "exec" and .warnings == []' <<<"$UPDATE_RESULT"
	diff <(echo "$before") <(thread_cgroups)
	guest_alive
}

@test "the same where many other things are mounted before the cgroups" {
	local before

	# shellcheck disable=SC2016 # the inner shell expands it
	VM_WRAPPER=(unshare -m sh -c 'for i in $(seq 80); do mkdir "$0/m$i" && mount -t tmpfs none "$0/m$i" || exit; done
		awk "\$3 == \"cgroup2\" || \$4 ~ /(^|,)cpu(,|$)/ && \$3 == \"cgroup\" { print \$2, \$3 }" /proc/mounts |
			while read -r dir type; do
				umount -l "$dir"
				if [ "$type" = cgroup ]; then mount -t cgroup -o cpu none "$dir"; else mount -t cgroup2 none "$dir"; fi || exit
			done
		exec "$@"' "$VM_DIR")
	boot_guest -M q35 -smp 2 -accel tcg,thread=multi -object iothread,id=io0
	VM_CGROUP=cprshim-${VM_DIR##*.}
	thread_cgroup "$(thread_id vcpu 1)" vcpu1
	before=$(thread_cgroups)
	update_vm new
	jq -e '.warnings == []' <<<"$UPDATE_RESULT"
	diff <(echo "$before") <(thread_cgroups)
}

@test "a user's VM, whose threads only root may put into cgroups: cprctl does, where one of them was in before" {
	local before

	# The tree that is tested may lie where this user cannot look.
	cp "$SHIM" "$GUEST" "$VM_DIR"
	mkdir -p "$VM_DIR/new/bin"
	cp "$QEMU_NEW" "$VM_DIR/new/bin"
	QEMU_NEW=$VM_DIR/new/bin/qemu-system-x86_64
	SHIM=$VM_DIR/${SHIM##*/} GUEST=$VM_DIR/${GUEST##*/}
	chown -R nobody "$VM_DIR"
	VM_WRAPPER=(setpriv --reuid nobody --clear-groups --inh-caps=-all)
	boot_guest -M q35 -smp 2 -accel tcg,thread=multi -object iothread,id=io0
	VM_CGROUP=cprshim-${VM_DIR##*.}
	thread_cgroup "$(thread_id vcpu 1)" vcpu1
	thread_cgroup "$(thread_id iothread io0)" io0
	before=$(thread_cgroups)
	update_by_ctl --binary "$QEMU_NEW"
	jq -e '.method == "relay" and .warnings == [] and .unplaced == null' <<<"$UPDATE_RESULT"
	diff <(echo "$before") <(thread_cgroups)
	# By SIGUSR2
	CPRSHIM_METHOD=auto update_vm old
	jq -e '(.warnings | map(select(test("is not in its cgroups"))) | length) == 2 and (.unplaced | length) == 2' <<<"$UPDATE_RESULT"
	fails diff <(echo "$before") <(thread_cgroups)
	# It knows still where they belong, and the one that asks where they were.
	thread_cgroup "$(thread_id vcpu 1)" vcpu1
	update_by_ctl --binary "$QEMU_NEW" --method exec
	jq -e '(.unplaced | map(.name)) == ["io0"]' <<<"$UPDATE_RESULT"
	guest_alive
}

@test "signals blocked and ignored are those of a QEMU that was never updated" {
	PRELOAD=no boot_guest -M q35
	local plain
	plain=$(signals_of "$VM_PID")
	end_process "$VM_PID"
	boot_guest -M q35
	[ "$(signals_of "$VM_PID")" = "$plain" ]
	update_vm
	wait_for 5 has_no_child
	signals_of "$VM_PID"
	echo "plain: $plain"
	[ "$(signals_of "$VM_PID")" = "$plain" ]
	guest_alive
}

@test "working directory, umask, limits and command line stay" {
	boot_guest -M q35
	local before
	before=$(process_looks)
	update_vm new
	diff <(echo "$before") <(process_looks)
	guest_alive
}

process_looks() {
	readlink "/proc/$VM_PID/cwd" "/proc/$VM_PID/root"
	grep -E '^(Umask|Uid|Gid|Groups|NoNewPrivs|Cap.*):' "/proc/$VM_PID/status"
	cat "/proc/$VM_PID/limits" "/proc/$VM_PID/oom_score_adj"
	tr '\0' '\n' <"/proc/$VM_PID/cmdline"
}

# --- the next ordinary migration ---

@test "after updates an ordinary live migration works, to a plain QEMU, without a warning" {
	boot_guest -M q35
	update_vm new
	update_vm old
	update_vm new
	[ ! -s "$VM_LOG" ]
	PRELOAD=no in_second_vm incoming_vm new -M "$MACHINE"
	migrate_to_second
	in_second_vm wait_for_guest 10
	[ "$(in_second_vm vm_version)" = 10.0 ]
	[ ! -s "$VM_LOG" ]
	[ ! -s "$VM_DIR/second/qemu.log" ]
	in_second_vm end_process "$SECOND_PID"
}

@test "after an update to 10.0 an ordinary live migration to a plain 7.2 works" {
	boot_guest -M q35
	update_vm new
	PRELOAD=no in_second_vm incoming_vm old -M q35
	migrate_to_second
	in_second_vm wait_for_guest 10
	[ ! -s "$VM_DIR/second/qemu.log" ]
	in_second_vm end_process "$SECOND_PID"
}

# --- signals ---

@test "SIGTERM during an update ends in an ordinary shutdown" {
	local delay

	for delay in 0 0.05 0.1 0.15 0.2 0.3; do
		boot_guest -M q35
		use_qemu new
		kill -USR2 "$VM_PID"
		sleep "$delay"
		kill -TERM "$VM_PID"
		wait_for 10 is_gone "$VM_PID"
		local status=0
		wait "$VM_PID" || status=$?
		echo "delay $delay: status $status, $(cat "$VM_LOG")"
		[ "$status" = 0 ]
		grep -q "terminating on signal 15" "$VM_LOG"
		[ ! -e "$VM_DIR/pid" ]
		[ ! -e "$VM_DIR/run/$VM_PID.sock" ]
		rm -f "$VM_LOG"
		use_qemu old
	done
}

@test "SIGUSR2 a hundred times at once is harmless" {
	boot_guest -M q35
	begin_watch
	local i before

	use_qemu new
	for ((i = 0; i < 100; i++)); do
		kill -USR2 "$VM_PID"
	done
	wait_for 20 update_beyond 0
	# Those that came after the first had ended may have begun another.
	for ((i = 0; i < 100; i++)); do
		before=$(update_count)
		sleep 0.3
		[ "$(update_count)" != "$before" ] || break
	done
	vm_lives
	[ "$(vm_version)" = 10.0 ]
	[ "$(update_history | jq '[.[] | select(.outcome == "failed")] | length')" = 0 ]
	guest_alive
	update_vm old
	end_watch
}

@test "a hundred SIGUSR2 over the whole time of updates" {
	boot_guest -M q35
	begin_watch
	local i

	for ((i = 0; i < 100; i++)); do
		kill -USR2 "$VM_PID"
		sleep 0.01
	done
	wait_for 20 update_beyond 1
	vm_lives
	guest_alive
	wait_for 20 idle
	update_vm new
	[ "$(update_history | jq '[.[] | select(.outcome == "failed")] | length')" = 0 ]
	end_watch
}

idle() {
	local before

	before=$(update_count)
	sleep 0.4
	[ "$(update_count)" = "$before" ]
}

@test "options that the new QEMU does not know any more: -no-hpet, -no-acpi" {
	boot_guest -M "$MACHINE" -no-hpet -no-acpi
	update_vm new
	guest_alive
	[ "$(vm_ctl '{"execute": "qom-get", "arguments": {"path": "/machine", "property": "hpet"}}')" = false ]
	[ "$(vm_ctl '{"execute": "qom-get", "arguments": {"path": "/machine", "property": "acpi"}}')" = '"off"' ]
	update_vm old
	guest_alive
}

# --- what the caller is told ---

@test "the result of update --json has phases that add up to the blackout; history survives" {
	boot_guest -M q35
	begin_watch
	use_qemu new
	update_by_ctl --method exec
	[ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = updated ]
	[ "$(jq -r .from.version <<<"$UPDATE_RESULT" | cut -d . -f 1-2)" = 7.2 ]
	[ "$(jq -r .to.version <<<"$UPDATE_RESULT" | cut -d . -f 1-2)" = 10.0 ]
	jq -e '.phases | [.stop, .save, .exec, .startup, .remap, .load, .resume] | all(. > 0)' <<<"$UPDATE_RESULT"
	jq -e '(.phases | add) - .blackout_ms | fabs < 0.1' <<<"$UPDATE_RESULT"
	jq -e '.blackout_ms > 1 and .blackout_ms < 5000 and .duration_ms > .blackout_ms' <<<"$UPDATE_RESULT"
	jq -e '.warnings == [] and .method == "exec" and .method_reason == "asked for"' <<<"$UPDATE_RESULT"
	local first=$UPDATE_RESULT
	update_by_ctl --binary "$QEMU_OLD"
	jq -e '.method == "relay" and (.method_reason | test("can go to another process")) and .blackout_ms == (.blackouts_ms | max)' <<<"$UPDATE_RESULT"
	jq -e '[[.phases[] | add], .blackouts_ms] | transpose | length == 2 and all(.[0] > 1 and (.[0] - .[1] | fabs < 0.1))' <<<"$UPDATE_RESULT"
	vm_runs old
	[ "$(update_history | jq length)" = 2 ]
	[ "$(update_history | jq .[0].time)" = "$(jq .time <<<"$first")" ]
	[ "$(update_history | jq .[0].blackout_ms)" = "$(jq .blackout_ms <<<"$first")" ]
	end_watch
}

@test "the blackout in the result is the gap that the guest's clock has" {
	boot_guest -M q35 -append hz=200
	start_serial_client
	update_vm new
	local gap
	stop_serial_client >"$VM_DIR/summary.json"
	gap=$(jq .longest_gap_ms "$VM_DIR/summary.json")
	echo "longest gap between ticks $gap ms, $(jq .blackout_ms <<<"$UPDATE_RESULT") said"
	# The serial line is held a little longer than the guest; TCG translates anew.
	jq -e ".blackout_ms < $gap + 5 and .blackout_ms > $gap - 300" <<<"$UPDATE_RESULT"
}

@test "a QEMU by another name, started through a link that is deleted then: updated; a replacement by another name is refused at once" {
	local own=$VM_DIR/own

	mkdir -p "$own/bin" "$own/lib/x86_64-linux-gnu"
	ln -s "${QEMU_OLD%/bin/*}/lib/x86_64-linux-gnu/qemu" "$own/lib/x86_64-linux-gnu"
	ln -s "${QEMU_OLD%/bin/*}/share" "$own"
	cp "$(readlink -f "$QEMU_OLD")" "$own/bin/emulator"
	use_qemu "$own/bin/emulator"
	boot_guest -M "$MACHINE"
	rm "$VM_DIR/qemu-system-x86_64"
	update_by_ctl --method exec --binary "$QEMU_NEW"
	update_by_ctl --method exec --binary "$own/bin/emulator"
	guest_alive
	end_process "$VM_PID"
	rm -f "$VM_DIR"/*.sock

	# Told by its file's name alone, for which the shim looks in the new QEMU too.
	use_qemu "$QEMU_OLD"
	VM_WRAPPER=(python3 -c 'import os, sys
at = next(i for i, word in enumerate(sys.argv) if i > 1 and "=" not in word)
os.environ.update(word.split("=", 1) for word in sys.argv[2:at])
os.execv(sys.argv[at], ["guest"] + sys.argv[at + 1:])')
	boot_guest -M "$MACHINE"
	fails update_by_ctl --method exec --binary "$own/bin/emulator"
	jq -e '.outcome == "refused" and .blockers[0].code == "binary-name"' <<<"$UPDATE_RESULT"
	[[ $(jq -r '.reasons[0]' <<<"$UPDATE_RESULT") == *"$own/bin/emulator is not named as QEMU is"* ]]
	guest_alive
}
