# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What all bats tests share: a directory of their own, VMs and clients ended by PID, and checks for leftovers.
#
# A test file begins with
#     load lib/common                 (from test/)
#     setup() { setup_vm_dir; }
#     teardown() { teardown_vm_dir; }
#
# Variables for the tests: VM_DIR, VM_PID, VM_QMP (left to the test's own client), VM_CTL (QMP for the functions here),
# VM_SERIAL (where the serial line is reached), SERIAL_ARGS (how QEMU makes it), VM_LOG (what QEMU wrote on stdout and
# stderr), UPDATE_RESULT.

# No "set" here: bats has its own (-eET), and its code does not live with -u.

TEST_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CPRSHIM_SRCDIR=${CPRSHIM_SRCDIR:-$(cd "$TEST_DIR/.." && pwd)}
CPRSHIM_BUILDDIR=${CPRSHIM_BUILDDIR:-$CPRSHIM_SRCDIR}
SHIM=${SHIM:-$CPRSHIM_BUILDDIR/.libs/libcprshim.so}
CPRCTL=${CPRCTL:-$CPRSHIM_BUILDDIR/cprctl}
GUEST=${GUEST:-$CPRSHIM_BUILDDIR/test/guest/guest.elf}
LINUX_GUEST=${LINUX_GUEST:-$CPRSHIM_BUILDDIR/linux-guest}
TOOLS=$TEST_DIR/tools
# The versions between which the tests update: "old" is the machine's own, "new" is what scripts/fetch-qemu unpacked.
QEMU_OLD=${QEMU_OLD:-/usr/bin/qemu-system-x86_64}
QEMU_NEW=${QEMU_NEW:-$CPRSHIM_BUILDDIR/qemu-10.0/usr/bin/qemu-system-x86_64}
# QEMU 11.1 is a script that starts it with another distribution's loader and libraries.
QEMU_11=${CPRSHIM_QEMU11:-$CPRSHIM_BUILDDIR/qemu-11.1/qemu-system-x86_64}

# --- directories, processes, waiting ---

setup_vm_dir() {
	# Short, since a UNIX socket's path has 107 bytes at most.
	VM_DIR=$(mktemp -d "${TMPDIR:-/tmp}/cprshim.XXXXXX")
	VM_PID=
	VM_LOG=$VM_DIR/qemu.log
	VM_QMP=$VM_DIR/qmp.sock
	VM_CTL=$VM_DIR/ctl.sock
	VM_SERIAL=$VM_DIR/serial.sock
	SERIAL_ARGS=()
	SERIAL_PID=
	QMP_PID=
	PING_PID=
	UPDATE_RESULT=
	NETNS=
	STARTED=()
	VM_WRAPPER=()
	mkdir "$VM_DIR/run"
	use_qemu old
}

nothing_is_left() { [ -z "$(processes_of_test)" ]; }

# Ends all that the test started, then fails if anything of it is left.
teardown_vm_dir() {
	local pid left=0

	for pid in "${STARTED[@]}"; do
		end_process "$pid"
	done
	remove_netns
	for pid in $(processes_of_test); do
		echo "left over: $pid $(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)" >&2
		end_process "$pid"
		left=1
	done
	# bats prints this for a failed test only.
	tail -n 20 "$VM_DIR"/*.log >&2 2>/dev/null || true
	if [ -n "${KEEP_VM_DIR:-}" ]; then
		echo "kept: $VM_DIR" >&2
	else
		rm -rf "$VM_DIR"
	fi
	return "$left"
}

# Every live process that has the test's directory on its command line, this shell and its children for it excepted.
processes_of_test() {
	local file pid

	for file in /proc/[0-9]*/cmdline; do
		pid=${file#/proc/}
		pid=${pid%/cmdline}
		if [ "$pid" != $$ ] && [ "$pid" != "$BASHPID" ] && ! is_gone "$pid" &&
			tr '\0' ' ' <"$file" 2>/dev/null | grep -qF "$VM_DIR"; then
			echo "$pid"
		fi
	done
}

# A process that ended but was not waited for counts as gone.
is_gone() {
	local line

	if ! { read -r line <"/proc/$1/stat"; } 2>/dev/null; then
		return 0
	fi
	line=${line##*) }
	[ "${line%% *}" = Z ] || [ "${line%% *}" = X ]
}

# The seconds of wait_for and its like are what a quiet machine never needs; PATIENCE times as many may pass. Nothing takes
# longer for that where all is well: a machine that is busy with other work has failed tests whose VMs were in good health.
PATIENCE=${PATIENCE:-4}

# wait_for SECONDS COMMAND...: runs the command every 20 ms until it succeeds; fails when the time is over. On a machine
# that is slow by design, WAIT_STEP says how often to look.
wait_for() {
	local limit=$(($(date +%s%N) + $1 * PATIENCE * 1000000000))

	shift
	until "$@" >/dev/null 2>&1; do
		if [ "$(date +%s%N)" -gt "$limit" ]; then
			echo "not within the time: $*" >&2
			return 1
		fi
		sleep "${WAIT_STEP:-0.02}"
	done
}

# jq -e ...: fails where nothing came out too. jq 1.6 is content where it had nothing to read, and so would be a test whose
# command failed, or whose file is written a moment later.
jq() {
	local out

	case $1 in
	-e*)
		out=$(command jq "$@") || return
		[ -n "$out" ] && printf '%s\n' "$out"
		;;
	*) command jq "$@" ;;
	esac
}

# fails COMMAND...: succeeds if it does not. ("!" alone does not make a test fail, and "run" would lose UPDATE_RESULT.)
fails() {
	if "$@"; then
		echo "did not fail: $*" >&2
		return 1
	fi
}

# end_process PID: TERM, after five seconds KILL; waits until it is gone.
end_process() {
	if ! is_gone "$1"; then
		kill -TERM "$1" 2>/dev/null || true
		wait_for 5 is_gone "$1" 2>/dev/null || kill -KILL "$1" 2>/dev/null || true
		wait_for 5 is_gone "$1"
	fi
	wait "$1" 2>/dev/null || true
}

# start_background LOG COMMAND...: PID in $!. bats keeps descriptors of its own open (3 and others), which must not get
# into a VM whose descriptors are counted, nor keep bats waiting for the process.
start_background() {
	local log=$1

	shift
	(
		for fd in "/proc/$BASHPID/fd"/*; do
			fd=${fd##*/}
			if [ "$fd" -gt 2 ] && [ "$fd" != 255 ]; then
				eval "exec $fd>&-"
			fi
		done
		exec "$@"
	) >>"$log" 2>&1 </dev/null &
	STARTED+=($!)
}

# --- VMs ---

# use_qemu old|new|11|PATH: what $VM_DIR/qemu-system-x86_64 leads to, which is the path every VM is started by.
use_qemu() {
	local binary=$1

	case $1 in
	old) binary=$QEMU_OLD ;;
	new) binary=$QEMU_NEW ;;
	11) binary=$QEMU_11 ;;
	esac
	if [ ! -x "$binary" ]; then
		echo "no QEMU at $binary" >&2
		return 1
	fi
	# Renamed into place, so that there is never no binary.
	ln -s "$binary" "$VM_DIR/qemu.next"
	mv -T "$VM_DIR/qemu.next" "$VM_DIR/qemu-system-x86_64"
}

# start_vm [QEMU ARGUMENTS]: starts QEMU under the shim (PRELOAD=no: without) and waits for its monitors.
# No machine, accelerator or guest is chosen here; boot_guest and boot_linux do that.
start_vm() {
	local environment=("CPRSHIM_RUNDIR=$VM_DIR/run" "CPRSHIM_LOGFILE=$VM_DIR/shim.log")
	local serial=(-chardev "socket,id=serial0,path=$VM_SERIAL,server=on,wait=off" -serial chardev:serial0)

	if [ ${#SERIAL_ARGS[@]} -gt 0 ]; then
		serial=("${SERIAL_ARGS[@]}")
	fi
	if [ "${PRELOAD:-yes}" = yes ]; then
		environment+=("LD_PRELOAD=$SHIM")
	else
		environment+=("QEMU_MODULE_DIR=$(module_dir)")
	fi
	start_background "$VM_LOG" "${VM_WRAPPER[@]}" env "${environment[@]}" "$VM_DIR/qemu-system-x86_64" \
		-display none -vga none -pidfile "$VM_DIR/pid" \
		"${serial[@]}" \
		-qmp "unix:$VM_QMP,server=on,wait=off" -qmp "unix:$VM_CTL,server=on,wait=off" "$@"
	VM_PID=$!
	wait_for 20 vm_answers_or_ended
	if is_gone "$VM_PID"; then
		echo "QEMU did not start:" >&2
		cat "$VM_LOG" >&2
		return 1
	fi
}

# Where the modules of the chosen binary are: QEMU's own build-in path names the machine's, whatever tree it lies in.
module_dir() {
	local binary

	binary=$(readlink -f "$VM_DIR/qemu-system-x86_64")
	echo "${binary%/bin/*}/lib/x86_64-linux-gnu/qemu"
}

vm_answers_or_ended() {
	is_gone "$VM_PID" || vm_ctl query-status
}

# boot_guest [QEMU ARGUMENTS]: the bare-metal guest; it is counting when this returns.
boot_guest() {
	start_vm -nodefaults -m 256 -kernel "$GUEST" "$@"
	wait_for_guest 20
}

# kvm_works: some hosts have a /dev/kvm that runs no guest: then there is nothing to test.
kvm_works() {
	[ -w /dev/kvm ] || return 1
	PRELOAD=no boot_guest -M q35 -accel kvm -append kib=64 || return 1
	end_process "$VM_PID"
}

# boot_linux [QEMU ARGUMENTS]: the Linux guest of scripts/make-linux-guest, by TCG, with LINUX_APPEND for its kernel.
boot_linux() {
	start_vm -nodefaults -m 384 -kernel "$LINUX_GUEST/vmlinuz" -initrd "$LINUX_GUEST/initrd.gz" \
		-append "console=ttyS0 quiet ${LINUX_APPEND:-}" "$@"
	GUEST_KIND=--linux wait_for_guest 90
}

# The guest of this test is the Linux one if QEMU was started with its kernel.
guest_kind() {
	if tr '\0' '\n' <"/proc/$VM_PID/cmdline" | grep -qxF "$LINUX_GUEST/vmlinuz"; then
		echo --linux
	fi
}

# wait_for_guest SECONDS: until it has counted a little. Takes the serial line, so only before start_serial_client.
wait_for_guest() {
	local kind

	kind=$(guest_kind)
	timeout $(($1 * PATIENCE)) "$TOOLS/serialclient.py" ${kind:+"$kind"} --ticks 3 "$VM_SERIAL" >"$VM_DIR/boot.json" || {
		echo "the guest does not count:" >&2
		cat "$VM_DIR/boot.json" "$VM_LOG" >&2
		return 1
	}
}

qmp() {
	"$TOOLS/qmp.py" "$@"
}

# ctl COMMAND...: cprctl, which finds this VM's socket.
ctl() {
	CPRSHIM_RUNDIR=$VM_DIR/run timeout 60 "$CPRCTL" "$@"
}

# vm_ctl COMMAND...: over the monitor that is kept for these functions.
vm_ctl() {
	qmp "$VM_CTL" "$@"
}

# command_json COMMAND [ARGUMENTS, AS JQ WRITES THEM]
command_json() {
	jq -nc --arg name "$1" "{execute: \$name, arguments: ${2:-{\}}}"
}

# do_qmp COMMAND [ARGUMENTS, AS JQ WRITES THEM]
do_qmp() { vm_ctl "$(command_json "$@")"; }

# hmp LINE: what the human monitor answers.
hmp() { do_qmp human-monitor-command "{\"command-line\": \"$1\"}" | jq -r .; }

# guest_alive: the guest goes on counting.
guest_alive() {
	local before

	if [ -n "$SERIAL_PID" ] && ! is_gone "$SERIAL_PID"; then
		before=$(last_tick)
		wait_for 5 ticks_beyond $((before + 3))
	else
		wait_for_guest 5
	fi
}

last_tick() {
	# The last line may be half written, hence the second last match at worst.
	grep -aE '^[0-9.]+ [TC] [0-9]+ ' "$VM_DIR/serial.log" | tail -n 1 | cut -d ' ' -f 3
}

ticks_beyond() {
	[ "$(last_tick)" -gt "$1" ]
}

vm_lives() {
	! is_gone "$VM_PID"
}

# --- clients that stay for the whole test; stop_* fails if the client has seen anything wrong ---

# start_serial_client [OPTIONS]: commands for the guest can be written by send_serial.
start_serial_client() {
	local kind

	kind=$(guest_kind)
	rm -f "$VM_DIR/serial.in" "$VM_DIR/serial.log"
	mkfifo "$VM_DIR/serial.in"
	# shellcheck disable=SC2016 # the inner shell expands it: its standard input is the FIFO, never at its end
	start_background "$VM_DIR/serial.json" sh -c 'exec "$@" <>"$0"' "$VM_DIR/serial.in" \
		"$TOOLS/serialclient.py" --stdin ${kind:+"$kind"} --log "$VM_DIR/serial.log" "$@" "$VM_SERIAL"
	SERIAL_PID=$!
	wait_for 5 test -s "$VM_DIR/serial.log"
}

# send_serial TEXT: command bytes for the bare-metal guest, a line for the Linux one.
send_serial() {
	if is_gone "$SERIAL_PID"; then
		echo "no serial client to send '$1'" >&2
		return 1
	fi
	echo "$1" 1<>"$VM_DIR/serial.in"
}

# wait_serial SECONDS PATTERN: until a line matches (grep -E); prints the last such line.
wait_serial() {
	wait_for "$1" grep -aqE "^[0-9.]+ $2" "$VM_DIR/serial.log"
	grep -aE "^[0-9.]+ $2" "$VM_DIR/serial.log" | tail -n 1 | cut -d ' ' -f 2-
}

# ask COMMAND ANSWER: send_serial, then prints the first line since that begins with ANSWER.
ask() {
	local before

	before=$(answers "$2")
	send_serial "$1"
	wait_for 30 more_answers "$before" "$2"
	grep -aE "^[0-9.]+ $2" "$VM_DIR/serial.log" | tail -n 1 | cut -d ' ' -f 2-
}

answers() {
	grep -acE "^[0-9.]+ $1" "$VM_DIR/serial.log" || true
}

more_answers() {
	[ "$(answers "$2")" -gt "$1" ]
}

start_qmp_client() {
	start_background "$VM_DIR/qmp.json" "$TOOLS/qmpclient.py" --log "$VM_DIR/qmp-session.log" "$@" "$VM_QMP"
	QMP_PID=$!
	wait_for 5 grep -q ready "$VM_DIR/qmp.json"
}

qmp_answers() { grep -c ' < .*"id":' "$VM_DIR/qmp-session.log"; }
qmp_has_more_answers() { [ "$(qmp_answers)" -gt "$1" ]; }

# qmp_goes_on [N]: N answers more come, and with them all that was sent to the client before them.
qmp_goes_on() { wait_for 10 qmp_has_more_answers $(($(qmp_answers) + ${1:-10})); }

# start_link NAME ADDRESS, or start_link NAME -- COMMAND...: a connection of tools/link.py; its log is $VM_DIR/NAME.link.
start_link() {
	local name=$1

	shift
	rm -f "$VM_DIR/$name.in"
	mkfifo "$VM_DIR/$name.in"
	start_background "$VM_DIR/$name.json" "$TOOLS/link.py" --log "$VM_DIR/$name.link" --input "$VM_DIR/$name.in" "$@"
	wait_for 5 grep -q ready "$VM_DIR/$name.json"
}

# What a SPICE client says first (spice-protocol, spice/protocol.h: SpiceLinkHeader, SpiceLinkMess): it asks for the main channel.
# shellcheck disable=SC2034 # tests send it
SPICE_LINK='REDQ\x02\0\0\0\x02\0\0\0\x12\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\x12\0\0\0'

# send_link NAME TEXT: as printf's %b writes it.
send_link() {
	printf '%b' "$2" 1<>"$VM_DIR/$1.in"
}

# wait_link SECONDS NAME TEXT [N]: until the text has come N times.
wait_link() {
	wait_for "$1" link_has "$2" "$3" "${4:-1}"
}

link_has() {
	[ "$(link_count "$1" "$2")" -ge "$3" ]
}

# link_count NAME TEXT: in how many lines it has come
link_count() {
	grep -acF -- "$2" "$VM_DIR/$1.link" || true
}

# start_on_terminal NAME QEMU ARGUMENTS...: QEMU on a pseudo terminal, as a user's shell would run it; EXPECTED is what must come on it
# first, else the guest's ticks. It gets no -qmp, which would take the default monitor away.
start_on_terminal() {
	local name=$1 environment=("CPRSHIM_RUNDIR=$VM_DIR/run" "CPRSHIM_LOGFILE=$VM_DIR/shim.log" "LD_PRELOAD=$SHIM")

	shift
	[ "${PRELOAD:-yes}" = yes ] || environment=()
	rm -f "$VM_DIR/pid"
	start_link "$name" -- env "${environment[@]}" "$VM_DIR/qemu-system-x86_64" -vga none -M q35 -m 256 \
		-kernel "$GUEST" -pidfile "$VM_DIR/pid" "$@"
	export TERMINAL
	TERMINAL=$(jq -r 'select(.pid).ready' "$VM_DIR/$name.json")
	wait_link 10 "$name" "${EXPECTED:-pattern-ok}"
	VM_PID=$(cat "$VM_DIR/pid")
	[ "${PRELOAD:-yes}" != yes ] || wait_for 5 test -S "$VM_DIR/run/$VM_PID.sock"
}

# start_knock NAME ADDRESS GREETING [DROPS [SAY]]: see tools/knock.py.
start_knock() {
	start_background "$VM_DIR/$1.json" "$TOOLS/knock.py" "${@:2}"
	eval "KNOCK_$1=$!"
	wait_for 5 grep -q ready "$VM_DIR/$1.json"
}

stop_knock() {
	local pid=KNOCK_$1

	stop_client "${!pid}" "$VM_DIR/$1.json"
}

start_pinger() {
	start_background "$VM_DIR/ping.json" ip netns exec "$NETNS" "$TOOLS/pinger.py" "$@" "$GUEST_ADDRESS"
	PING_PID=$!
	wait_for 5 grep -q ready "$VM_DIR/ping.json"
}

stop_serial_client() { stop_client "$SERIAL_PID" "$VM_DIR/serial.json"; }
stop_qmp_client() { stop_client "$QMP_PID" "$VM_DIR/qmp.json"; }
stop_pinger() { stop_client "$PING_PID" "$VM_DIR/ping.json"; }

stop_client() {
	kill -TERM "$1" 2>/dev/null || true
	wait_for 15 is_gone "$1" || kill -KILL "$1"
	# The summary is the last line; a test may look into it with jq. Its verdict counts and not the exit status, which
	# the subshell of bats' "run" could not wait for.
	tail -n 1 "$2"
	[ "$(tail -n 1 "$2" | jq .ok 2>/dev/null)" = true ]
}

# --- what the VM's process has ---

fd_count() { find "/proc/$VM_PID/fd" -mindepth 1 | wc -l; }
thread_count() { find "/proc/$VM_PID/task" -mindepth 1 -maxdepth 1 | wc -l; }
# The holder of the old memory and zombies are children too.
children() { cat "/proc/$VM_PID"/task/*/children; }
has_no_child() { [ -z "$(children)" ]; }
at_most() { [ "$("$1")" -le "$2" ]; }

# has_no_more_than FDS THREADS: soon. A monitor's connection may be on its way out, and QEMU's pool keeps an idle worker
# for ten seconds (util/thread-pool.c, worker_thread()).
has_no_more_than() {
	wait_for 5 at_most fd_count "$1"
	wait_for 20 at_most thread_count "$2"
}

# take_state NAME: the state of the process, as tools/vmstate.py describes it, into $VM_DIR/NAME.state.
# Of a VM without huge pages: those are made by and by.
take_state() {
	ctl status --json "$VM_PID" | "$TOOLS/vmstate.py" take "$VM_PID" >"$VM_DIR/$1.state"
}

# state_is NAME: soon the state is as it was then. What differs is printed.
state_is() {
	wait_for 20 state_now_is "$1" || state_now_is "$1"
}

state_now_is() {
	take_state now
	"$TOOLS/vmstate.py" compare "$VM_DIR/$1.state" "$VM_DIR/now.state"
}

# --- updates ---

# update_count: how many updates the VM has been through, failed and refused ones included.
update_count() {
	update_history | jq length
}

update_history() {
	ctl history --json "$VM_PID" | jq -c 'if type == "array" then . else .data end'
}

update_beyond() {
	[ "$(update_count)" -gt "$1" ]
}

# last_update: when the last one began; the history does not grow for ever.
last_update() {
	update_history | jq 'last | .time'
}

newer_update_or_gone() {
	local last

	is_gone "$VM_PID" || { last=$(last_update) && [ -n "$last" ] && [ "$last" != "$1" ]; }
}

# update_vm [old|new|11|PATH] [SECONDS]: flips the symlink (not without an argument), sends SIGUSR2, waits for the outcome.
# The result, as in docs/control-protocol.md, is in UPDATE_RESULT. Succeeds if the VM was updated. Where the test has not chosen a
# method, "old" is by exec: what a test is about must hold for both.
update_vm() {
	local before

	before=$(last_update)
	if [ -n "${1:-}" ]; then
		use_qemu "$1"
	fi
	if [ "${1:-}" = old ] && [ -z "${CPRSHIM_METHOD:-}" ]; then
		start_background "$VM_DIR/back.log" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" update --method exec "$VM_PID"
	else
		kill -USR2 "$VM_PID"
	fi
	wait_for "${2:-30}" newer_update_or_gone "$before"
	vm_lives
	UPDATE_RESULT=$(update_history | jq -c last)
	echo "update: $UPDATE_RESULT" >&2
	[ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = updated ]
}

# update_by_ctl [OPTIONS]: by cprctl, whose exit status is kept; the result is in UPDATE_RESULT.
update_by_ctl() {
	local rc=0

	UPDATE_RESULT=$(CPRSHIM_RUNDIR=$VM_DIR/run "$CPRCTL" update --json "$VM_PID" "$@" | jq -c .; exit "${PIPESTATUS[0]}") || rc=$?
	echo "update: $UPDATE_RESULT" >&2
	return "$rc"
}

# vm_version: what QEMU says that it is, as in 7.2
vm_version() {
	vm_ctl query-version | jq -r '"\(.qemu.major).\(.qemu.minor)"'
}

# seconds_run: since the VM's process was started
seconds_run() { ps -o etimes= -p "$VM_PID"; }
runs_for() { [ "$(seconds_run)" -ge "$1" ]; }

# ram_kib MIB: how much of the RAM, which has that size, is there, in KiB, and how much of that is in huge pages.
ram_kib() {
	awk -v size=$(($1 * 1024)) '/^Size:/ { ram = $2 == size } ram && /^(Rss|AnonHugePages|ShmemPmdMapped):/ { sum[/^Rss/] += $2 }
		END { print sum[1], sum[0] }' "/proc/$VM_PID/smaps"
}
# ram_is_huge MIB: all of it that is there.
ram_is_huge() { [[ $(ram_kib "$1") =~ ^([1-9][0-9]*)\ ([0-9]+)$ && ${BASH_REMATCH[1]} = "${BASH_REMATCH[2]}" ]]; }

vm_state() {
	vm_ctl query-status | jq -r .status
}

# vm_runs old|new|PATH: the process really runs that binary's file now.
vm_runs() {
	local binary=$1

	case $1 in
	old) binary=$QEMU_OLD ;;
	new) binary=$QEMU_NEW ;;
	esac
	[ "/proc/$VM_PID/exe" -ef "$binary" ]
}

# --- a network of the test's own ---

# make_netns [multi_queue]: a network namespace with a tap in it; a VM started afterwards runs inside (its sockets are
# UNIX ones and are reached as before). Network arguments for QEMU: TAP_ARGS. Addresses exist in the namespace only.
make_netns() {
	local mode=()

	NETNS=cprshim-${VM_DIR##*.}
	TAP=tap0
	HOST_ADDRESS=10.111.0.1
	GUEST_ADDRESS=10.111.0.2
	if [ -n "${1:-}" ]; then
		mode=("$1")
	fi
	ip netns add "$NETNS"
	ip -n "$NETNS" link set lo up
	ip -n "$NETNS" tuntap add dev "$TAP" mode tap "${mode[@]}"
	ip -n "$NETNS" address add "$HOST_ADDRESS/24" dev "$TAP"
	# The kernel drops what does not fit, and a guest under TCG on a machine that has other work may not read for seconds.
	ip -n "$NETNS" link set "$TAP" txqueuelen 5000 up
	VM_WRAPPER=(ip netns exec "$NETNS")
	TAP_ARGS=(-netdev "tap,id=net0,ifname=$TAP,script=no,downscript=no"
		-device "virtio-net-pci,netdev=net0,mac=52:54:00:11:00:02")
	LINUX_APPEND="${LINUX_APPEND:-} guest_ip=$GUEST_ADDRESS/24"
	export TAP_ARGS
}

remove_netns() {
	if [ -n "$NETNS" ]; then
		ip netns delete "$NETNS" || true
		if ip netns list | grep -qw -- "$NETNS"; then
			echo "network namespace $NETNS is left over" >&2
			return 1
		fi
		NETNS=
	fi
}
