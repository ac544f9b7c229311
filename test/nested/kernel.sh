# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# kernel.sh - what test/nested.bats has run in the nested guest: VMs that hold vhost-net, vhost-vsock and VFIO devices of
# the real kernel, or memory on two NUMA nodes, or are confined (confined.sh). Says "passed: WHAT" after each part; the first
# failure ends it all.

set -eE
cd /run
# shellcheck source=/dev/null
. "$TEST_DIR/nested/report.sh"
export PATIENCE=10 WAIT_STEP=0.5
# shellcheck source=/dev/null
. "$TEST_DIR/lib/common.bash"
# shellcheck source=/dev/null
. "$TEST_DIR/lib/network.bash"
# shellcheck source=/dev/null
. "$TEST_DIR/nested/confined.sh"
VSOCK=$TOOLS/vsock.py

# Which vhost devices a VM holds, as NUMBER:NAME, but for ours.
vhost_fds() {
	find "/proc/$VM_PID/fd" -lname '*/dev/vhost-*' -printf '%f:%l\n' | sed -E 's,:.*/vhost-,:,' | sort -n | paste -sd ' '
}

# The kernel has a worker for each vhost device that has an owner: so many for this VM, and no more.
workers() { cat /proc/[0-9]*/comm 2>/dev/null | grep -cx "vhost-$1"; }
workers_are() { [ "$(workers "$1")" = "$2" ]; }

# same_devices NUMBERS NAME...: the VM holds these and no others, the kernel works for as many, and the guest runs.
same_devices() {
	echo "vhost devices: $(vhost_fds)"
	[ "$(vhost_fds | tr ' ' '\n' | cut -d : -f 2 | sort | paste -sd ' ')" = "${*:2}" ]
	[[ $(vhost_fds) = *"$1"* ]]
	wait_for 10 workers_are "$VM_PID" $(($# - 1))
	[ "$(vm_state)" = running ]
}

# --- a bare-metal guest: all that it needs is that its VM has these devices ---

# All pages of memory that is bound to a node are on it. Only those count that the process has touched, hence the dump, and
# not those that are being made huge ones at the moment: the kernel unmaps them for it.
pages_at_their_nodes() {
	vm_ctl '{"execute": "pmemsave", "arguments": {"val": 0, "size": 67108864, "filename": "/dev/null"}}' >/dev/null
	PAGES=$(sed -nE 's/.* (bind:[01]) .*memfd.* (N[01]=[0-9]+) .*/\1 \2/p' "/proc/$VM_PID/numa_maps" | sort)
	[ "$PAGES" = $'bind:0 N0=8192\nbind:1 N1=8192' ]
}

wait_for_pages() {
	wait_for 10 pages_at_their_nodes && return
	echo "pages: $PAGES" >&2
	return 1
}

edu_id() {
	local address

	address=$(vm_ctl '{"execute": "human-monitor-command", "arguments": {"command-line": "info pci"}}' |
		grep -oE 'BAR0: 32 bit memory at 0x[0-9a-f]+ \[0x[0-9a-f]+fffff\]' | tail -n 1 | grep -oE '0x[0-9a-f]+' | head -n 1)
	vm_ctl "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"xp /1wx $address\"}}"
}

vfio_fds() { find "/proc/$VM_PID/fd" -lname '*vfio*' -printf '%f:%l\n' | sort; }

with_vfio() {
	local before pci=/sys/bus/pci

	setup_vm_dir
	# Nothing here remaps interrupts.
	echo 1 >/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts
	echo vfio-pci >"$pci/devices/0000:00:04.0/driver_override"
	echo 0000:00:04.0 >"$pci/drivers_probe"
	boot_guest -M pc-q35-7.2 -accel tcg -device vfio-pci,host=0000:00:04.0
	before=$(vfio_fds)
	[ -n "$before" ]
	[[ $(edu_id) = *0x010000ed* ]]
	fails env CPRSHIM_RUNDIR="$VM_DIR/run" "$CPRCTL" check "$VM_PID" >"$VM_DIR/check.out" 2>&1
	grep 'VFIO devices cannot be handed over' "$VM_DIR/check.out"
	fails update_vm new
	jq -e '.outcome == "refused" and any(.reasons[]; test("VFIO devices cannot be handed over"))' <<<"$UPDATE_RESULT" >/dev/null
	vm_runs old
	[ "$(vfio_fds)" = "$before" ]
	[[ $(edu_id) = *0x010000ed* ]]
	guest_alive
	teardown_vm_dir
	passed "a VM with a VFIO device is refused by name, and goes on"
}

# add_vsock_line ID CID PORT OPTION...: a serial card whose line is a vsock within this kernel
add_vsock_line() {
	vm_ctl "{\"execute\": \"chardev-add\", \"arguments\": {\"id\": \"$1\", \"backend\": {\"type\": \"socket\",
		\"data\": {\"addr\": {\"type\": \"vsock\", \"data\": {\"cid\": \"$2\", \"port\": \"$3\"}}, $4}}}}" >/dev/null
	vm_ctl "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"pci-serial\", \"id\": \"card-$1\", \"chardev\": \"$1\"}}" >/dev/null
}

declare -A CLIENTS

# start_vsock_client NAME [OPTION...] ADDRESS: its log is $VM_DIR/NAME.log, and grows with what comes by that line
start_vsock_client() {
	rm -f "$VM_DIR/$1.log"
	start_background "$VM_DIR/$1.json" "$TOOLS/serialclient.py" --rate 20 --drain 60 --log "$VM_DIR/$1.log" "${@:2}"
	CLIENTS[$1]=$!
}

echoes() { grep -cs ' E ' "$VM_DIR/$1.log" || true; }
more_echoes() { [ "$(echoes "$1")" -gt $(($2 + 10)) ]; }

vsock_lines_go_on() {
	local name

	for name in theirs ours; do
		wait_for 10 more_echoes "$name" "$(echoes "$name")"
	done
}

with_vsock_lines() {
	setup_vm_dir
	export CPRSHIM_FAULT=load@2
	boot_guest -M pc-i440fx-7.2 -accel tcg -m 64
	unset CPRSHIM_FAULT
	start_serial_client
	start_vsock_client theirs --listen vsock:4294967295:5001
	wait_for 10 grep -q listening "$VM_DIR/theirs.json"
	add_vsock_line client 1 5001 '"server": false'
	add_vsock_line server 4294967295 5000 '"server": true, "wait": false'
	[ "$(ask p L)" = 'L 3' ]
	start_vsock_client ours vsock:1:5000
	vsock_lines_go_on
	for version in new old; do
		update_vm "$version"
		jq -e '.warnings == []' <<<"$UPDATE_RESULT" >/dev/null
		vm_runs "$version"
		vsock_lines_go_on
	done
	update_fails "$QEMU_NEW" .
	vm_runs old
	vsock_lines_go_on
	# Without a client it listens on, and whoever comes next is let in.
	stop_client "${CLIENTS[ours]}" "$VM_DIR/ours.json"
	update_vm new
	start_vsock_client ours vsock:1:5000
	vsock_lines_go_on
	stop_client "${CLIENTS[ours]}" "$VM_DIR/ours.json"
	stop_client "${CLIENTS[theirs]}" "$VM_DIR/theirs.json"
	# A client of something else than a character device.
	vm_ctl '{"execute": "nbd-server-start", "arguments": {"addr": {"type": "vsock", "data": {"cid": "4294967295", "port": "5002"}}}}' >/dev/null
	start_background "$VM_DIR/other.json" "$TOOLS/serialclient.py" vsock:1:5002
	wait_for 10 grep -q ready "$VM_DIR/other.json"
	fails ctl check "$VM_PID" >"$VM_DIR/check.out" 2>&1
	grep 'is a vsock socket, and of no character device' "$VM_DIR/check.out"
	stop_serial_client
	teardown_vm_dir
	passed "character devices on vsock, listening and connected: 7.2 to 10.0 and back, and not one byte lost"
}

# As libvirt plugs them in: descriptors are passed in under names first.
with_passed_devices() {
	setup_vm_dir
	make_netns
	boot_guest -M pc-i440fx-7.2 -accel tcg -m 64
	ip netns exec "$NETNS" "$TOOLS/tapfd.py" "$TAP" 33 -- "$TOOLS/getfd.py" "$VM_CTL" 33 tap
	"$TOOLS/getfd.py" "$VM_CTL" 40 net 40<>/dev/vhost-net
	"$TOOLS/getfd.py" "$VM_CTL" 41 vsock 41<>/dev/vhost-vsock
	# Nobody has taken them yet.
	update_vm new
	[ "$(vhost_fds | wc -w)" = 2 ]
	wait_for 10 workers_are "$VM_PID" 0
	vm_ctl '{"execute": "netdev_add", "arguments": {"type": "tap", "id": "net0", "fd": "tap", "vhost": true, "vhostfd": "net"}}' >/dev/null
	vm_ctl '{"execute": "device_add", "arguments": {"driver": "virtio-net-pci", "netdev": "net0", "id": "nic0"}}' >/dev/null
	vm_ctl '{"execute": "device_add", "arguments": {"driver": "vhost-vsock-pci", "id": "vsock0", "guest-cid": 9, "vhostfd": "vsock"}}' >/dev/null
	same_devices "" net vsock
	for version in old new; do
		update_vm "$version"
		vm_runs "$version"
		same_devices "" net vsock
		guest_alive
	done
	teardown_vm_dir
	passed "a tap and vhost devices that a monitor's client passed in, before and after they were taken"
}

# What QEMU opens itself, which is rehearsed, too.
with_devices_of_its_own() {
	setup_vm_dir
	make_netns
	boot_guest -M pc-q35-7.2 -accel tcg -m 64 \
		-object memory-backend-ram,id=m0,size=32M,host-nodes=0,policy=bind,prealloc=on \
		-object memory-backend-ram,id=m1,size=32M,host-nodes=1,policy=bind,prealloc=on \
		-numa node,memdev=m0 -numa node,memdev=m1 \
		-netdev "tap,id=net0,ifname=$TAP,script=no,downscript=no,vhost=on" -device virtio-net-pci,netdev=net0 \
		-device vhost-vsock-pci,guest-cid=9
	same_devices "" net vsock
	wait_for_pages
	for version in new old; do
		update_vm "$version"
		jq -e '.warnings == []' <<<"$UPDATE_RESULT" >/dev/null
		vm_runs "$version"
		same_devices "" net vsock
		wait_for_pages
		guest_alive
	done
	teardown_vm_dir
	passed "devices that QEMU opens itself, and memory on two NUMA nodes: 7.2 to 10.0 and back"
}

# --- a Linux guest with all of them ---

vhost_runs() {
	vm_ctl "{\"execute\": \"x-query-virtio-status\", \"arguments\": {\"path\": \"/machine/peripheral/$1/virtio-backend\"}}" |
		jq -e '."vhost-started"' >/dev/null
}

# The second card's tap and vhost device and the vsock's are given by number. Boots while other parts run.
start_linux() {
	setup_vm_dir
	make_netns
	ip -n "$NETNS" tuntap add dev tap1 mode tap
	ip -n "$NETNS" address add 10.112.0.1/24 dev tap1
	ip -n "$NETNS" link set tap1 up
	# A guest this slow may not tell its address within the time that the kernel waits for it.
	ip -n "$NETNS" neigh add "$GUEST_ADDRESS" lladdr 52:54:00:11:00:02 dev "$TAP" nud permanent
	ip -n "$NETNS" neigh add 10.112.0.2 lladdr 52:54:00:11:00:03 dev tap1 nud permanent
	# shellcheck disable=SC2016 # the inner shell expands it
	VM_WRAPPER+=("$TOOLS/tapfd.py" tap1 33 -- bash -c 'exec "$@" 40<>/dev/vhost-net 41<>/dev/vhost-vsock' -)
	export CPRSHIM_FAULT=exec@0,cont@2,load:kill@3
	start_vm -nodefaults -m 160 -M pc-q35-7.2 -accel tcg -kernel "$LINUX_GUEST/vmlinuz" -initrd "$LINUX_GUEST/initrd.gz" \
		-append "console=ttyS0 quiet ram_mib=4 mitigations=off no_timer_check tsc=reliable lpj=4000000 random.trust_cpu=on $LINUX_APPEND guest_ip1=10.112.0.2/24" \
		-netdev "tap,id=net0,ifname=$TAP,script=no,downscript=no,vhost=on" \
		-device virtio-net-pci,id=nic0,netdev=net0,mac=52:54:00:11:00:02 \
		-netdev '{"type": "tap", "id": "net1", "fd": "33", "vhost": true, "vhostfd": "40"}' \
		-device virtio-net-pci,id=nic1,netdev=net1,mac=52:54:00:11:00:03 \
		-device vhost-vsock-pci,id=vsock0,guest-cid=5,vhostfd=41
	unset CPRSHIM_FAULT
}

start_traffic() {
	start_echoes 1 "$GUEST_ADDRESS" 7 --rate 10 --drain 60 --connect 60
	mv "$VM_DIR/echoes0.json" "$VM_DIR/first.json"
	FIRST=${ECHOES[0]}
	start_echoes 1 10.112.0.2 7 --rate 10 --drain 60 --connect 60
	# Few, so that they all have room in the tap while the guest stands still.
	start_pinger --rate 1 --drain 60
	start_background "$VM_DIR/listen.out" "$VSOCK" listen
	wait_for 10 grep -q ready "$VM_DIR/listen.out"
	start_background "$VM_DIR/hold.out" "$VSOCK" hold 5
	wait_for 10 grep -q '^3$' "$VM_DIR/hold.out"
	CALLS=1
}

hellos() { grep -c '^5 hello$' "$VM_DIR/listen.out" || true; }
more_hellos() { [ "$(hellos)" -gt "$1" ]; }
answered() { grep -q answered "$VM_DIR/once.json"; }

# holds_as_before: the kernel's devices run, as many as at the start; there are new connections by vsock both ways, and by
# both cards.
holds_as_before() {
	local device hellos calls address

	for device in nic0 nic1; do
		vhost_runs "$device"
	done
	same_devices "40:net 41:vsock" net net vsock
	hellos=$(hellos)
	# The service is the same one: it counts on.
	calls=$("$VSOCK" call 5)
	[ "$calls" -gt "$CALLS" ]
	CALLS=$calls
	wait_for 20 more_hellos "$hellos"
	for address in "$GUEST_ADDRESS" 10.112.0.2; do
		ip netns exec "$NETNS" ping -q -c 1 -W 60 "$address" | grep received
	done
}

holds_on() { [ "$(wc -l <"$VM_DIR/hold.out")" -gt "$1" ] && fails grep -q ended "$VM_DIR/hold.out"; }

# taken_by_guardian: the new program is killed while it loads the state: the guest goes on as another process.
taken_by_guardian() {
	local old=$VM_PID

	fails update_by_ctl --method exec --no-rehearse --binary "$QEMU_OLD"
	VM_PID=$(jq -r .pid <<<"$UPDATE_RESULT")
	[ "$VM_PID" != "$old" ]
	STARTED+=("$VM_PID")
	wait_for 10 workers_are "$old" 0
	vm_runs new
}

with_linux() {
	wait_for_guest 80
	start_traffic
	holds_as_before
	passed "traffic goes over running vhost devices"

	update_fails "$QEMU_NEW" 'could not be started'
	holds_as_before
	wait_for 10 holds_on "$(wc -l <"$VM_DIR/hold.out")"
	passed "an exec that fails takes nothing from them"

	update_vm new
	jq -e '.warnings[0] | test("not rehearsed: .*vhost")' <<<"$UPDATE_RESULT" >/dev/null
	vm_runs new
	holds_as_before
	wait_for 10 grep '^ended:' "$VM_DIR/hold.out"
	passed "7.2 to 10.0"

	update_fails "$QEMU_OLD" '"cont" failed'
	vm_runs new
	holds_as_before
	passed "a new QEMU that has taken them, and fails"

	taken_by_guardian
	holds_as_before
	passed "a new QEMU that is killed"

	update_vm old
	vm_runs old
	holds_as_before
	# One may have been read by the QEMU that failed after it had the taps.
	stop_pinger | tee "$VM_DIR/pings.json" >&2 || true
	jq -e '.lost <= 1 and .doubled == 0 and .sent > 20' "$VM_DIR/pings.json"
	stop_client "$FIRST" "$VM_DIR/first.json"
	stop_echoes
	guest_alive
	teardown_vm_dir
	wait_for 10 workers_are "$VM_PID" 0
	passed "10.0 to 7.2, and no byte was lost"
}

LINUX_GUEST=$NESTED_GUEST
start_linux
# Each in a shell of its own, for its own VM's variables.
for part in ${NESTED_PARTS:-with_vfio with_devices_of_its_own with_cgroups with_apparmor with_vsock_lines with_passed_devices}; do
	("$part")
done
with_linux
