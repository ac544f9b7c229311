#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# ctl.bats - cprctl's command line, its exit codes, and how it bears with VMMs that are hostile.
#
# No VM under the shim is needed: a Python process publishes the table and answers at the control socket in its place.

bats_require_minimum_version 1.5.0

setup_file() {
	export CPRCTL="${CPRSHIM_BUILDDIR:?}/cprctl"
	export FAKE="$BATS_FILE_TMPDIR/fake.py"
	write_fake >"$FAKE"
}

setup() {
	RUN="$BATS_TEST_TMPDIR/run"
	mkdir "$RUN"
	unset CPRSHIM_RUNDIR CPRSHIM_METHOD CPRSHIM_EMULATOR CPRSHIM_LIB LD_PRELOAD
	STARTED=()
}

teardown() {
	local pid
	for pid in "${STARTED[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# The VMM's part. Usage: fake.py RUNDIR TABLE ANSWER [PID to pose as]
write_fake() {
	cat <<-'END'
	import json, os, socket, struct, sys, time

	rundir, table_kind, answer_kind = sys.argv[1:4]
	pid = os.getpid()
	SLOTS, REC, HEADER = 16384, 152, 224

	def record(kind, origin, detail_type, detail, flags=0, open_flags=0):
	    return struct.pack("<HHHBBiIQQQ112s", kind, flags, origin, detail_type, len(detail), -1, open_flags, 1, 0, 0,
	                       detail)

	def fnv(rec, fd):
	    h = 0xcbf29ce484222325 ^ fd
	    for byte in rec:
	        h = ((h ^ byte) * 0x100000001b3) & (1 << 64) - 1
	    return h

	def table():
	    inet = struct.pack("<H", socket.AF_INET) + struct.pack(">H", 5900) + bytes([127, 0, 0, 1]) + bytes(8)
	    inet6 = struct.pack("<H", socket.AF_INET6) + struct.pack(">H", 22) + bytes(4) + bytes(15) + b"\1" + bytes(4)
	    unix = struct.pack("<H", socket.AF_UNIX)
	    recs = {
	        3: record(1, 7, 1, b"/disk\x1b[2J\x9b\xff\\.img\0"),
	        4: record(7, 28, 2, unix + b"/run/qmp.sock\0"),
	        5: record(8, 8, 2, unix + b"\0abstract\x07"),
	        6: record(7, 9, 2, inet, open_flags=socket.AF_INET << 16 | socket.SOCK_STREAM),
	        7: record(7, 9, 2, inet6, open_flags=socket.AF_INET6 << 16 | socket.SOCK_STREAM),
	        8: record(6, 9, 2, unix[:1]),
	        9: record(999, 0, 0, b""),
	        10: record(6, 9, 2, inet[:6]),
	    }
	    total = 0
	    body = bytearray(SLOTS * REC)
	    for fd, rec in recs.items():
	        total ^= fnv(rec, fd)
	        body[fd * REC:(fd + 1) * REC] = rec
	    magic, version, seq, owner = 0x454c424154525043, 1, 2, pid
	    if table_kind == "magic":
	        magic ^= 1
	    if table_kind == "checksum":
	        total ^= 1
	    if table_kind == "version":
	        version = 77
	    if table_kind == "busy":
	        seq = 3
	    if table_kind == "parents":
	        owner = os.getppid()
	    head = struct.pack("<QIIQqIIQQII160s", magic, version, SLOTS, seq, owner, 0, len(recs), 9, total, 0, 0, b"")
	    assert len(head) == HEADER
	    return head + bytes(body)

	if table_kind != "none":
	    memfd = os.memfd_create("cprshim-table")
	    data = table()
	    if table_kind == "short":
	        data = data[:100]
	    if table_kind == "empty":
	        data = b""
	    for at in range(0, len(data), 1 << 20):
	        os.write(memfd, data[at:at + (1 << 20)])

	FROM = {"binary": "/usr/bin/qemu-old", "version": "7.2.22"}
	TO = {"binary": "/usr/bin/qemu-new", "version": "10.0.2"}
	RESULT = {"type": "result", "ok": True, "outcome": "updated", "from": FROM, "to": TO, "method": "exec",
	          "time": 1700000000, "duration_ms": 312.4, "blackout_ms": 58.7, "phases": {"stop": 0.5, "save": 2},
	          "reasons": [], "warnings": ["be\x1b[31mware"], "closed": [{"fd": 12, "detail": "x"}]}
	STATUS = {"pid": 1, "name": "vm\x1b]0;owned\x07one", "binary": "/b", "version": "7.2.22", "machine": "q35",
	          "run_state": "running", "outdated": True, "generation": 2,
	          "ram": [{"name": "pc.ram", "size": 4096, "fd": 20, "address": 65536}],
	          "plan": [{"fd": 4, "kind": "listener", "action": "preserve", "detail": ""},
	                   {"fd": 60, "kind": "anon", "action": "close", "detail": "extra"}],
	          "blockers": [{"code": "bitmap", "what": "a dirty\u009bbitmap", "do": 5}], "last_update": RESULT}

	def line(value):
	    return json.dumps(value).encode() + b"\n"

	def send(c, data):
	    try:
	        c.sendall(data)
	    except OSError:
	        pass

	def serve(c):
	    request = json.loads(c.makefile("rb").readline() or b"null")
	    if request is None:
	        return
	    with open(f"{rundir}/requests", "a") as log:
	        log.write(json.dumps(request, sort_keys=True) + "\n")
	    if answer_kind == "die":
	        os._exit(1)
	    if answer_kind == "eof":
	        return
	    if answer_kind == "silent":
	        time.sleep(60)
	    if answer_kind == "endless":
	        for _ in range(40):
	            send(c, b"x" * (1 << 20))
	        return
	    if answer_kind == "progress-flood":
	        while True:
	            try:
	                c.sendall(b'{"type":"progress","stage":"s","text":"t"}\n' * 10000)
	            except OSError:
	                return
	    if answer_kind == "utf8":
	        return send(c, b'{"type":"result","ok":true,"outcome":"updated\xff\xfe"}\n')
	    if answer_kind == "nul":
	        return send(c, b'{"type":"result","ok":true\0}\n')
	    if answer_kind == "deep":
	        return send(c, b"[" * 1000000 + b"\n")
	    if answer_kind == "types":
	        last = {"from": 1, "phases": [1], "blackout_ms": "x", "time": 1e300, "closed": [5]}
	        data = {"ram": {"a": 1}, "plan": [1, {"fd": -1}, {"fd": 1 << 40}, {"fd": "3"}], "blockers": {"x": 1},
	                "name": 3, "last_update": last}
	        return send(c, line({"type": "result", "ok": "true", "outcome": ["updated"], "data": data, "from": 7,
	                             "reasons": [1, None], "phases": 3, "time": -1}))
	    if answer_kind == "refuse":
	        return send(c, line({"type": "result", "ok": False, "outcome": "refused",
	                             "reasons": ["one \x1b[1mreason", "two"]}))
	    if answer_kind in ("fail-and-die", "end"):
	        outcome = "ended" if answer_kind == "end" else "failed"
	        send(c, line({"type": "result", "ok": False, "outcome": outcome, "reasons": ["crashed"]}))
	        os._exit(1)
	    command = request["command"]
	    if command == "status":
	        send(c, line({"type": "result", "ok": True, "data": STATUS}))
	    elif command == "history":
	        send(c, line({"type": "result", "ok": True, "data": [RESULT]}))
	    elif command == "check":
	        send(c, line({"type": "result", "ok": True, "reasons": []}))
	    else:
	        send(c, line({"type": "progress", "stage": "save", "text": "dev\x1b[2Jice state"}))
	        send(c, line(RESULT))

	s = socket.socket(socket.AF_UNIX)
	if answer_kind != "none":
	    s.bind(f"{rundir}/{sys.argv[4] if len(sys.argv) > 4 else pid}.sock")
	    s.listen()
	if table_kind == "forked":
	    os.fork()
	open(f"{rundir}/ready.{pid}", "w").close()
	if answer_kind == "none":
	    time.sleep(600)
	while True:
	    c, _ = s.accept()
	    serve(c)
	    c.close()
	END
}

# Sets PID. Arguments as the script's, without RUNDIR.
fake() {
	python3 "$FAKE" "$RUN" "$@" 3>&- 4>&- >/dev/null 2>"$RUN/stderr" &
	PID=$!
	STARTED+=("$PID")
	local i
	for ((i = 0; i < 200; i++)); do
		[[ -e "$RUN/ready.$PID" ]] && return
		sleep 0.05
	done
	cat "$RUN/stderr"
	return 1
}

# A line that begins with ! cannot fail a test.
refute() {
	if "$@"; then
		echo "should have failed: $*"
		return 1
	fi
}

output_has() {
	printf '%s' "$output" | LC_ALL=C grep -qP "$1"
}

# Control characters other than newlines, and bytes that are no UTF-8, must not reach a terminal.
assert_printable() {
	echo "$output" | cat -v
	refute output_has '[\x00-\x08\x0b-\x1f\x7f]'
	refute output_has '\xc2[\x80-\x9f]'
	printf '%s' "$output" | iconv -f UTF-8 -t UTF-8 >/dev/null
}

assert_alive() {
	kill -0 "$PID"
	[[ "$(cut -d' ' -f3 "/proc/$PID/stat")" != Z ]]
}

ctl() {
	local want=$1
	shift
	run "-$want" timeout 60 "$CPRCTL" "$@"
	echo "$output" | cat -v
}

@test "usage: no command, an unknown command" {
	ctl 2
	ctl 2 frobnicate
	ctl 2 $'\e[2Jx'
	assert_printable
}

@test "usage: --help and --version, of all and of each" {
	ctl 0 --help
	[[ "$output" == *update* ]]
	ctl 0 --version
	[[ "$output" == cprctl\ * ]]
	local command
	for command in run list status check update history; do
		ctl 0 "$command" --help
		[[ "$output" == "usage: cprctl $command"* ]]
		ctl 0 "$command" --version
	done
}

@test "usage: a PID that is missing, none, or one too many" {
	local command pid
	for command in status check update history; do
		ctl 2 "$command"
		for pid in x 0 -1 +1 1x '' ' 1' 99999999999; do
			ctl 2 "$command" "$pid"
		done
		ctl 2 "$command" 1 2
	done
	ctl 2 list 1
}

@test "usage: options that are unknown, of another command, or without a fitting value" {
	ctl 2 status 1 --frobnicate
	ctl 2 status 1 --method exec
	ctl 2 list --paused
	ctl 2 update 1 --method teleport
	ctl 2 update 1 --timeout 0
	ctl 2 update 1 --timeout 5s
	ctl 2 update 1 --timeout
	ctl 2 update 1 --binary ''
	ctl 2 run
	ctl 2 run --timeout 5 --
}

@test "usage: --command takes all that follows, which must be there; --binary says the same" {
	ctl 2 update $$ --command
	[[ "$output" == *"needs a command"* ]]
	ctl 2 update $$ --binary /b --command /b
	[[ "$output" == *"two ways to say the same"* ]]
	ctl 2 update --command true $$
	[[ "$output" == *"a PID is missing"* ]]
	ctl 2 history $$ --command true
}

@test "a full standard output is an error" {
	run -1 bash -c '"$CPRCTL" --help >/dev/full'
}

@test "a PID without a process, and a thread's number" {
	local command
	for command in status check update history; do
		ctl 1 "$command" 2147483647
		[[ "$output" == *"no process"* ]]
	done
}

@test "a plain process is told from a VM and gets no signal" {
	sleep 600 3>&- 4>&- &
	PID=$!
	STARTED+=("$PID")
	local command
	for command in status check update history; do
		ctl 1 "$command" "$PID"
		[[ "$output" == *"not a VM under the shim"* ]]
	done
	assert_alive
}

@test "a plain QEMU is told from a VM under the shim and survives" {
	local qemu="${CPRSHIM_QEMU7:-/usr/bin/qemu-system-x86_64}"
	[[ -x "$qemu" ]] || skip "no QEMU"
	"$qemu" -M none -display none -serial none -monitor none -pidfile "$RUN/plain.pid" 3>&- 4>&- >/dev/null 2>&1 &
	PID=$!
	STARTED+=("$PID")
	timeout 10 bash -c 'until [ -s "$0" ]; do sleep 0.05; done' "$RUN/plain.pid"
	ctl 1 update "$PID"
	ctl 1 check "$PID"
	ctl 0 list
	[[ "$output" != *"$PID "* ]]
	sleep 0.2
	assert_alive
}

@test "another user's process is refused" {
	[[ "$(id -u)" == 0 ]] || skip "needs root to become somebody else"
	cp "$CPRCTL" "$BATS_TEST_TMPDIR/cprctl"
	chmod -R go+rX "$BATS_RUN_TMPDIR"
	fake good good
	run -1 setpriv --reuid 65534 --regid 65534 --clear-groups "$BATS_TEST_TMPDIR/cprctl" update "$PID" --rundir "$RUN"
	echo "$output"
	[[ "$output" == *"another user"* ]]
	run -0 setpriv --reuid 65534 --regid 65534 --clear-groups "$BATS_TEST_TMPDIR/cprctl" list --rundir "$RUN"
	[[ "$output" != *"$PID "* ]]
	assert_alive
}

@test "status: descriptors, RAM, blockers and last update" {
	fake good good
	ctl 0 status "$PID" --rundir "$RUN"
	assert_printable
	[[ "$output" == *'/disk\x1b[2J\x9b\xff\\.img'* ]]
	[[ "$output" == *"unix:/run/qmp.sock"* ]]
	[[ "$output" == *'unix:@abstract\x07'* ]]
	[[ "$output" == *"tcp 127.0.0.1:5900"* ]]
	[[ "$output" == *"tcp [::1]:22"* ]]
	[[ "$output" == *unknown* ]]
	[[ "$output" == *preserve* ]]
	[[ "$output" == *pc.ram* ]]
	[[ "$output" == *bitmap* ]]
	[[ "$output" == *"from 7.2.22"*"to 10.0.2"* ]]
}

@test "status --json: sorted, ASCII, with the descriptors" {
	fake good good
	ctl 0 status "$PID" --json --rundir "$RUN"
	refute output_has '[^\n -~]'
	printf '%s' "$output" | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert [r["fd"] for r in d["descriptors"]] == [3, 4, 5, 6, 7, 8, 9, 10], d["descriptors"]
assert d["descriptors"][1]["kind"] == "listener" and d["descriptors"][1]["origin"] == "socket"
assert d["last_update"]["blackout_ms"] == 58.7 and d["generation"] == 2
assert list(d) == sorted(d)'
	[[ "$output" == *"58.7"* && "$output" != *"58.70"* ]]
}

@test "the run directory: option, our environment, the VM's environment" {
	fake good good
	CPRSHIM_RUNDIR="$RUN" ctl 0 status "$PID"
	CPRSHIM_RUNDIR="$RUN" fake good good
	unset CPRSHIM_RUNDIR
	ctl 0 status "$PID"
	ctl 1 status "$PID" --rundir "$BATS_TEST_TMPDIR"
	[[ "$output" == *"not found"* ]]
	[[ "$output" == *unix:/run/qmp.sock* ]]
}

@test "the run directory may have a path that is longer than a socket address" {
	local deep
	deep="$RUN/$(printf 'd%.0s' {1..200})"
	mkdir "$deep"
	fake good good
	mv "$RUN/$PID.sock" "$deep/"
	ctl 0 status "$PID" --rundir "$deep"
}

@test "list: VMs with and without an answer" {
	fake good good
	local first=$PID
	fake good none
	ctl 0 list --rundir "$RUN"
	assert_printable
	[[ "$output" == *"$first "*"7.2.22"*yes* ]]
	[[ "$output" == *"$PID "*"not found"* ]]
	ctl 0 list --json --rundir "$RUN"
	printf '%s' "$output" | python3 -c '
import json, sys
rows = {r["pid"]: r for r in json.load(sys.stdin)}
assert rows[int(sys.argv[1])]["outdated"] is True and rows[int(sys.argv[1])]["note"] is None
assert rows[int(sys.argv[2])]["outdated"] is None and rows[int(sys.argv[2])]["version"] is None' "$first" "$PID"
}

@test "list: colours on a terminal only, and not against NO_COLOR" {
	fake good good
	ctl 0 list --rundir "$RUN"
	assert_printable
	run -0 env TERM=xterm script -qec "'$CPRCTL' list --rundir '$RUN'" /dev/null
	output_has "$PID .*\e\[33myes\e\[0m"
	run -0 env TERM=xterm NO_COLOR=1 script -qec "'$CPRCTL' list --rundir '$RUN'" /dev/null
	output_has "$PID .* yes "
	refute output_has '\e\['
	run -0 env TERM=dumb script -qec "'$CPRCTL' list --rundir '$RUN'" /dev/null
	refute output_has '\e\['
}

@test "list: a VM that does not answer does not hold the others up for long" {
	fake good silent
	SECONDS=0
	ctl 0 list --rundir "$RUN"
	[[ "$output" == *"$PID "*"in time"* ]]
	((SECONDS < 15))
}

@test "a VM's child that still holds the table is no VM" {
	fake parents good
	ctl 1 update "$PID" --rundir "$RUN"
	[[ "$output" == *"not a VM under the shim"* ]]
	[[ ! -e "$RUN/requests" ]]
}

@test "check: yes, no with every reason" {
	fake good good
	ctl 0 check "$PID" --rundir "$RUN"
	cd "$RUN"
	ctl 0 check "$PID" --rundir . --binary new-qemu --json
	grep -qF "\"binary\": \"$RUN/new-qemu\"" "$RUN/requests"
	fake good refuse
	ctl 1 check "$PID" --rundir "$RUN"
	assert_printable
	[[ "$output" == *'one \x1b[1mreason'*two* ]]
	ctl 1 check "$PID" --rundir "$RUN" --json
	[[ "$output" == *reasons* ]]
}

@test "update: updated" {
	fake good good
	ctl 0 update "$PID" --rundir "$RUN" --method relay --paused --timeout 7 --binary /b
	assert_printable
	[[ "$output" == *"from 7.2.22"*"to 10.0.2"*"by exec"* ]]
	[[ "$output" == *"blackout 58.7 ms: stop 0.5, save 2.0"* ]]
	[[ "$output" == *'be\x1b[31mware'* ]]
	[[ "$output" != *"ice state"* ]]
	[[ "$(cat "$RUN/requests")" == \
		'{"binary": "/b", "command": "update", "method": "relay", "paused": true, "timeout": 7}' ]]
	ctl 0 update "$PID" --rundir "$RUN" --command true --paused "$PID" ''
	[[ "$(tail -n 1 "$RUN/requests")" == '{"argv": ["'*'/true", "--paused", "'"$PID"'", ""], "command": "update"}' ]]
	ctl 1 update "$PID" --rundir "$RUN" --command no-such-program-anywhere
	[[ "$output" == *"no-such-program-anywhere was not found"* ]]
	ctl 0 update "$PID" --rundir "$RUN" -v
	assert_printable
	[[ "$output" == *'save: dev\x1b[2Jice state'* ]]
	ctl 0 update "$PID" --rundir "$RUN" --json
	printf '%s' "$output" | python3 -c 'import json, sys; assert json.load(sys.stdin)["outcome"] == "updated"'
}

@test "update: refused is 1, with the reasons" {
	fake good refuse
	ctl 1 update "$PID" --rundir "$RUN"
	assert_printable
	[[ "$output" == *refused*reason*two* ]]
	assert_alive
}

@test "update: the process is gone without a result: 3" {
	fake good die
	ctl 3 update "$PID" --rundir "$RUN"
	[[ "$output" == *"guest is lost"* ]]
}

@test "update: the process is gone after it said that the guest runs on: 3" {
	fake good fail-and-die
	ctl 3 update "$PID" --rundir "$RUN"
	[[ "$output" == *"guest is lost"* && "$output" != *"runs on"* ]]
}

@test "update: the VM ended of its own accord: 1, and nothing is lost" {
	fake good end
	ctl 1 update "$PID" --rundir "$RUN"
	[[ "$output" == *"not there any more"* && "$output" != *lost* && "$output" != *"runs on"* ]]
}

@test "update: end of file while the process lives: 1" {
	fake good eof
	ctl 1 update "$PID" --rundir "$RUN"
	[[ "$output" == *"process lives"* ]]
	assert_alive
}

@test "history" {
	fake good good
	ctl 0 history "$PID" --rundir "$RUN"
	[[ "$output" == *exec*7.2.22*10.0.2*58.7*updated* ]]
	ctl 0 history "$PID" --rundir "$RUN" --json
	printf '%s' "$output" | python3 -c 'import json, sys; assert len(json.load(sys.stdin)) == 1'
}

@test "hostile table: wrong magic, checksum or version, too short, always being written" {
	local kind
	for kind in magic checksum version short empty busy; do
		fake "$kind" good
		ctl 1 status "$PID" --rundir "$RUN"
		[[ "$output" == *"no descriptor table"* ]]
		[[ "$output" == *pc.ram* ]]
		run -1 --separate-stderr "$CPRCTL" status "$PID" --rundir "$RUN" --json
		printf '%s' "$output" | python3 -c 'import json, sys; assert json.load(sys.stdin)["descriptors"] is None'
	done
}

@test "hostile table: the descriptor's name on something that is no memfd" {
	local name="$BATS_TEST_TMPDIR/memfd:cprshim-table (deleted)"
	mkfifo "$name"
	sleep 600 3>&- 4>&- 9<>"$name" &
	PID=$!
	STARTED+=("$PID")
	ctl 1 status "$PID"
	if [[ "$(id -u)" == 0 ]] && command -v unshare >/dev/null; then
		# in a root directory of its own, the name is the very name
		unshare --mount bash -c 'mount --bind "$1" "$1" && exec 9<>"$1/memfd:cprshim-table (deleted)" && umount -l "$1" &&
			exec sleep 600' bash "$BATS_TEST_TMPDIR" 3>&- 4>&- >/dev/null 2>&1 &
		PID=$!
		STARTED+=("$PID")
		for _ in {1..100}; do
			readlink "/proc/$PID/fd/9" && break
			sleep 0.05
		done
		[[ "$(readlink "/proc/$PID/fd/9")" == "/memfd:cprshim-table (deleted)" ]]
		ctl 1 status "$PID"
		[[ "$output" == *"not a VM under the shim"* ]]
	fi
}

@test "hostile socket: another process listens there, and gets no byte" {
	fake good none
	local vm=$PID
	fake good good "$vm"
	local command
	for command in status check update history; do
		ctl 1 "$command" "$vm" --rundir "$RUN"
		[[ "$output" == *"another process"* ]]
	done
	[[ ! -e "$RUN/requests" ]]
	kill -0 "$vm"
}

@test "hostile socket: a line without an end, a flood of progress" {
	local kind
	for kind in endless progress-flood; do
		fake good "$kind"
		ctl 1 update "$PID" --rundir "$RUN"
		[[ "$output" == *"too long"* ]]
		ctl 1 status "$PID" --rundir "$RUN"
	done
}

@test "hostile socket: no UTF-8, a NUL, endless nesting, wrong types" {
	local kind command
	for kind in utf8 nul deep types; do
		fake good "$kind"
		for command in status check update history; do
			run timeout 60 "$CPRCTL" "$command" "$PID" --rundir "$RUN"
			assert_printable
			[[ "$status" == 1 || ("$kind" == types && "$command" == status && "$status" == 0) ]]
		done
		ctl 0 list --rundir "$RUN"
	done
}

@test "run: what cannot be run under the shim is refused with its reason" {
	export CPRSHIM_LIB="$BATS_TEST_TMPDIR/libcprshim.so"
	cp "$(ldd /bin/sh | sed -n 's/.* => \(.*libc\.so[^ ]*\).*/\1/p')" "$CPRSHIM_LIB"
	ctl 1 run -- no-such-program
	[[ "$output" == *"not found"* ]]
	printf '#!/bin/sh\necho ran\n' >"$BATS_TEST_TMPDIR/script"
	chmod +x "$BATS_TEST_TMPDIR/script"
	ctl 1 run -- "$BATS_TEST_TMPDIR/script"
	[[ "$output" == *script* ]]
	cp /bin/true "$BATS_TEST_TMPDIR/setuid"
	chmod 4755 "$BATS_TEST_TMPDIR/setuid"
	ctl 1 run -- "$BATS_TEST_TMPDIR/setuid"
	[[ "$output" == *setuid* ]]
	cp /bin/true "$BATS_TEST_TMPDIR/foreign"
	printf '\xb7' | dd of="$BATS_TEST_TMPDIR/foreign" bs=1 seek=18 conv=notrunc status=none
	ctl 1 run -- "$BATS_TEST_TMPDIR/foreign"
	[[ "$output" == *"another kind of processor"* ]]
	ctl 1 run -- "$CPRSHIM_LIB.not"
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	ctl 1 run -- "$BATS_TEST_TMPDIR/fifo"
	CPRSHIM_METHOD=teleport ctl 1 run -- /bin/true
	CPRSHIM_LIB=/no/such/lib ctl 1 run -- /bin/true
	CPRSHIM_LIB="$BATS_TEST_TMPDIR/a b.so" ctl 1 run -- /bin/true
	if command -v setcap >/dev/null && cp /bin/true "$BATS_TEST_TMPDIR/caps" &&
		setcap cap_net_raw+ep "$BATS_TEST_TMPDIR/caps" 2>/dev/null; then
		ctl 1 run -- "$BATS_TEST_TMPDIR/caps"
		[[ "$output" == *capabilities* ]]
	fi
}

@test "run: the environment and the arguments arrive" {
	# any library that preloads harmlessly
	export CPRSHIM_LIB="$BATS_TEST_TMPDIR/libcprshim.so"
	cp "$(ldd /bin/sh | sed -n 's/.* => \(.*libc\.so[^ ]*\).*/\1/p')" "$CPRSHIM_LIB"
	local env
	env="$(type -P env)"
	cd "$BATS_TEST_TMPDIR"
	ctl 0 run --binary /bin/true --method exec --rundir rd --timeout 9 --log debug --logfile log -- env
	[[ "$output" == *"LD_PRELOAD=$CPRSHIM_LIB"* ]]
	[[ "$output" == *"CPRSHIM_BINARY=/bin/true"* ]]
	[[ "$output" == *"CPRSHIM_METHOD=exec"* ]]
	[[ "$output" == *"CPRSHIM_RUNDIR=$BATS_TEST_TMPDIR/rd"* ]]
	[[ "$output" == *"CPRSHIM_TIMEOUT=9"* ]]
	[[ "$output" == *"CPRSHIM_LOG=debug"* ]]
	[[ "$output" == *"CPRSHIM_LOGFILE=$BATS_TEST_TMPDIR/log"* ]]
	run -0 bash -c 'LD_PRELOAD=libm.so.6 "$CPRCTL" run -- "$1"' bash "$env"
	[[ "$output" == *"LD_PRELOAD=$CPRSHIM_LIB:libm.so.6"* ]]
	ctl 0 run -- echo --json -- "a b"
	[[ "$output" == '--json -- a b' ]]
}

@test "run: in place of an emulator, by its name" {
	export CPRSHIM_LIB="$BATS_TEST_TMPDIR/libcprshim.so"
	cp "$(ldd /bin/sh | sed -n 's/.* => \(.*libc\.so[^ ]*\).*/\1/p')" "$CPRSHIM_LIB"
	ln -s "$CPRCTL" "$BATS_TEST_TMPDIR/qemu-system-none"
	CPRSHIM_EMULATOR="$(type -P echo)" run -0 "$BATS_TEST_TMPDIR/qemu-system-none" --help-me list
	[[ "$output" == "--help-me list" ]]
	run -1 "$BATS_TEST_TMPDIR/qemu-system-none"
	CPRSHIM_EMULATOR="$BATS_TEST_TMPDIR/qemu-system-none" run -1 "$BATS_TEST_TMPDIR/qemu-system-none"
	[[ "$output" == *"cprctl itself"* ]]
}
