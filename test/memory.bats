#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# memory.bats - every kind of guest memory through updates: contents, policy, huge pages, locks, and how much memory is used.
#
# The bare-metal guest writes a word into each page above 32 MiB and looks for it afterwards.

load lib/common
load lib/linuxguest

setup() {
	setup_vm_dir
	HUGE_PAGES=
	HUGE_DIR=
	UPDATE_TO=(new old)
}

teardown() {
	stop_watching || true
	for pid in "${STARTED[@]}"; do
		end_process "$pid"
	done
	give_huge_pages_back
	teardown_vm_dir
}

MACHINE=pc-q35-7.2
MIB=256

# --- what the guest's memory is like ---

# fill: the guest writes into every page.
fill() { ask t 'P [0-9]+$'; }

# is_whole: it finds what it wrote.
is_whole() { [[ $(ask v 'V ') = "V ok "* ]]; }

# maps_of NAME FIELD: what /proc/PID/smaps says of mappings of at least 64 MiB whose line has the name.
maps_of() {
	awk -v name="$1" -v field="$2:" '
		/^[0-9a-f]+-[0-9a-f]+ / { is = index($0, name) }
		$1 == "Size:" { is = is && $2 >= 65536 }
		is && $1 == field { $1 = ""; print substr($0, 2) }' "/proc/$VM_PID/smaps"
}

# --- how much memory is used ---

start_watching() {
	start_background "$VM_DIR/memory.json" "$TOOLS/memwatch.py" "$@" "$VM_PID"
	WATCH_PID=$!
	wait_for 5 grep -q ready "$VM_DIR/memory.json"
}

stop_watching() {
	[ -z "${WATCH_PID:-}" ] || stop_client "$WATCH_PID" "$VM_DIR/memory.json" >&2
	WATCH_PID=
}

# Never twice the memory: the old program's own and the new one's for a moment, but guest RAM once.
memory_never_doubled() {
	stop_watching
	tail -n 1 "$VM_DIR/memory.json" | jq -e '.samples > 50 and .peak < .start * 1.3 and .last < .start * 1.1'
}

# advice: flags of mappings (smaps, VmFlags): not dumped, not forked, huge, merged, locked. "sd" comes with writing.
advice() { for name in memfd ram; do maps_of "$name" VmFlags; done | sed 's/ sd//' | sort; }

# through_updates [WATCH OPTIONS]: a VM that runs, with all of its memory written.
through_updates() {
	local to before

	before=$(advice)
	[ -n "$before" ]
	start_serial_client
	fill
	start_watching "$@"
	for to in "${UPDATE_TO[@]}"; do
		update_vm "$to"
		is_whole
	done
	memory_never_doubled
	diff <(echo "$before") <(advice)
	guest_alive
	stop_serial_client
}

boot() { boot_guest -m "$MIB" "$@"; }

# backend TYPE,OPTIONS: all of RAM from it
backend() { boot -object "$1,id=ram0,size=${MIB}M" -M "$MACHINE,memory-backend=ram0"; }

# --- huge pages ---

HUGE_POOL=/proc/sys/vm/nr_hugepages

# take_huge_pages N: not one more than that is free.
take_huge_pages() {
	local free

	[ "$(awk '/^Hugepagesize:/ { print $2 }' /proc/meminfo)" = 2048 ] || skip "huge pages of another size than 2 MiB"
	HUGE_PAGES=$(cat "$HUGE_POOL")
	free=$(huge_pages_free)
	echo $((HUGE_PAGES + $1 - free)) >"$HUGE_POOL" || skip "no huge pages can be reserved here"
	[ "$(huge_pages_free)" -eq "$1" ] || skip "no huge pages can be reserved here"
}

huge_pages_are_free() {
	[ "$(huge_pages_free)" = "$1" ] || {
		grep ^HugePages /proc/meminfo
		return 1
	}
}

huge_pages_free() { awk '/^HugePages_Free:/ { free = $2 } /^HugePages_Rsvd:/ { free -= $2 } END { print free }' /proc/meminfo; }

give_huge_pages_back() {
	[ -z "$HUGE_DIR" ] || umount "$HUGE_DIR"
	if [ -n "$HUGE_PAGES" ]; then
		echo "$HUGE_PAGES" >"$HUGE_POOL"
	fi
}

# --- RAM ---

@test "plain -m" {
	boot -M "$MACHINE"
	through_updates
}

@test "dump-guest-core=off and mem-merge=off: memory is left out of core dumps" {
	boot -M "$MACHINE,dump-guest-core=off,mem-merge=off"
	advice | grep -qw dd
	through_updates
}

@test "-mem-prealloc" {
	boot -M "$MACHINE" -mem-prealloc
	through_updates
}

@test "memory-backend-ram, share=on, prealloc=on with threads" {
	MIB=384
	backend memory-backend-ram,share=on,prealloc=on,prealloc-threads=4
	through_updates
}

@test "memory-backend-memfd, share=off, prealloc=on" {
	backend memory-backend-memfd,share=off,prealloc=on
	through_updates
}

@test "memory-backend-file, share=on, prealloc=on: the user's file stays the guest's memory" {
	truncate -s "${MIB}M" "$VM_DIR/ram"
	backend "memory-backend-file,share=on,prealloc=on,mem-path=$VM_DIR/ram"
	through_updates --file "$VM_DIR/ram"
}

@test "-mem-path DIR with prealloc" {
	mkdir "$VM_DIR/ram"
	boot -M "$MACHINE" -mem-path "$VM_DIR/ram" -mem-prealloc
	through_updates
	[ -z "$(ls "$VM_DIR/ram")" ]
}

@test "mem-lock=on: memory is locked once, and again after an update" {
	# The translation buffer is locked too, the old program's and the new one's: these must not be there both.
	boot -M "$MACHINE" -accel tcg,tb-size=256 -overcommit mem-lock=on
	local locked
	locked=$(maps_of memfd:cprshim-ram Locked)
	through_updates
	[ "$(maps_of memfd:cprshim-ram Locked)" = "$locked" ]
}

# with_huge_pages NAME [QEMU ARGUMENTS]: the pool has room for the guest once.
with_huge_pages() {
	local name=$1

	shift
	boot "$@"
	[ "$(huge_pages_free)" = 0 ]
	through_updates
	[ "$(maps_of "$name" KernelPageSize)" = "2048 kB" ]
	[ "$(huge_pages_free)" = 0 ]
	end_process "$VM_PID"
	[ "$(huge_pages_free)" = $((MIB / 2)) ]
}

@test "huge pages from a memfd: all are the guest's before, across and after updates" {
	take_huge_pages $((MIB / 2))
	with_huge_pages memory-backend-memfd -M "$MACHINE,memory-backend=ram0" \
		-object "memory-backend-memfd,hugetlb=on,prealloc=on,id=ram0,size=${MIB}M"
}

make_huge_dir() {
	mkdir "$VM_DIR/huge"
	mount -t hugetlbfs -o pagesize=2M none "$VM_DIR/huge" || skip "no hugetlbfs can be mounted here"
	HUGE_DIR=$VM_DIR/huge
}

@test "huge pages by -mem-path, not preallocated" {
	make_huge_dir
	take_huge_pages $((MIB / 2))
	with_huge_pages qemu_back_mem -M "$MACHINE" -mem-path "$HUGE_DIR"
	[ -z "$(ls "$HUGE_DIR")" ]
}

# QEMU 10.0 does not start with such a size.
@test "huge pages, and a size that is no multiple of theirs" {
	make_huge_dir
	take_huge_pages $((MIB / 2))
	UPDATE_TO=(old old)
	with_huge_pages qemu_back_mem -M "$MACHINE" -mem-path "$HUGE_DIR" -m $((MIB - 1))
}

# ram_status FIELD: of the guest's main memory, as cprctl status tells it
ram_status() {
	ctl status --json "$VM_PID" | jq ".ram[] | select(.name == \"pc.ram\").$1"
}

@test "CPRSHIM_HUGEPAGES=hugetlb: plain RAM is in reserved huge pages, and stays in them" {
	take_huge_pages $((MIB / 2))
	CPRSHIM_HUGEPAGES=hugetlb with_huge_pages memfd:cprshim-ram -M "$MACHINE"
}

@test "CPRSHIM_HUGEPAGES=hugetlb, and not enough of them: it is said, and the guest has small ones" {
	take_huge_pages $((MIB / 2 - 1))
	CPRSHIM_HUGEPAGES=hugetlb boot -M "$MACHINE"
	grep -q "too few huge pages are reserved for $MIB MiB" "$VM_DIR/shim.log"
	wait_for 5 huge_pages_are_free $((MIB / 2 - 1))
	UPDATE_TO=(new)
	through_updates
}

# The host gives huge pages to anonymous memory that asks for them, as QEMU's does, and none to a memfd.
with_small_shared_pages() {
	local thp=/sys/kernel/mm/transparent_hugepage

	[[ $(cat "$thp/enabled") != *"[never]"* && $(cat "$thp/shmem_enabled") == *"[never]"* ]] ||
		skip "this host gives shared memory huge pages by itself, or none to any"
}

is_huge() { [ "$(ram_status huge)" -ge "$1" ]; }

@test "memory that is there gets huge pages like anonymous memory, and keeps them" {
	with_small_shared_pages
	boot -M "$MACHINE" -mem-prealloc
	wait_for 60 is_huge $((MIB << 20))
	through_updates
	wait_for 60 is_huge $((MIB << 20))
}

@test "memory of which the guest uses a part gets as many huge pages as anonymous memory" {
	with_small_shared_pages
	PRELOAD=no boot_guest -M "$MACHINE"
	wait_for 10 ram_is_huge "$MIB"
	local without
	without=$(ram_kib "$MIB")
	end_process "$VM_PID"
	boot_guest -M "$MACHINE"
	[ "$(ram_kib "$MIB")" != "$without" ]
	wait_for 30 ram_is_huge "$MIB"
	[ "$(ram_kib "$MIB")" = "$without" ]
	end_process "$VM_PID"

	# Also where it is updated before it has got any.
	CPRSHIM_HUGEPAGES=off boot_guest -M "$MACHINE"
	update_by_ctl --command env CPRSHIM_HUGEPAGES=auto "$QEMU_NEW"
	[ "$(ram_kib "$MIB")" != "$without" ]
	wait_for 30 ram_is_huge "$MIB"
	[ "$(ram_kib "$MIB")" = "$without" ]
}

@test "what comes up beside the guest has the memory's page tables filled before, holes are left alone" {
	boot -M "$MACHINE" -mem-prealloc
	fallocate -p -o 64M -l 64M "/proc/$VM_PID/fd/$(ram_status fd)"
	# It stays paused there: nobody but the new QEMU has touched anything.
	update_by_ctl --method transfer --paused --binary "$QEMU_NEW"
	VM_PID=$(jq .pid <<<"$UPDATE_RESULT")
	STARTED+=("$VM_PID")
	[ "$(maps_of memfd:cprshim-ram Rss)" = "$(((MIB - 64) * 1024)) kB" ]
	[ "$(stat -Lc %b "/proc/$VM_PID/fd/$(ram_status fd)")" = $(((MIB - 64) * 2048)) ]
	vm_ctl cont
	guest_alive
}

@test "CPRSHIM_HUGEPAGES=off: no huge pages" {
	with_small_shared_pages
	CPRSHIM_HUGEPAGES=off boot -M "$MACHINE" -mem-prealloc
	# It would have had some by then: the service thread begins two seconds after the start.
	wait_for 20 runs_for 6
	[ "$(ram_status huge)" = 0 ]
}

# --- what QEMU 10.0 has and 7.2 has not ---

@test "QEMU 10.0: aux-ram-share=on, memory-backend-shm, a part of a file, mem-lock=on-fault" {
	use_qemu new
	UPDATE_TO=(new new)
	truncate -s 192M "$VM_DIR/ram"
	boot_guest -M q35,aux-ram-share=on -smp 2 -m 256 -overcommit mem-lock=on-fault -accel tcg,tb-size=32 \
		-object memory-backend-shm,id=m0,size=128M -numa node,memdev=m0 \
		-object "memory-backend-file,share=on,mem-path=$VM_DIR/ram,offset=64M,id=m1,size=128M" -numa node,memdev=m1
	through_updates --file "$VM_DIR/ram"
	# Nothing was written before that part of the file.
	[ "$(head -c 64M "$VM_DIR/ram" | tr -d '\0' | wc -c)" = 0 ]
	[ "$(tail -c 128M "$VM_DIR/ram" | tr -d '\0' | wc -c)" -gt 10000 ]
}

# --- policy ---

# policies: how often each memory policy is found in the process.
policies() { awk '{ count[$2]++ } END { for (policy in count) print policy, count[policy] }' "/proc/$VM_PID/numa_maps" | grep -v default; }

@test "NUMA nodes: host-nodes and policy stay, for each kind of memory" {
	truncate -s 64M "$VM_DIR/ram"
	boot -M "$MACHINE" -smp 4 -m 256 \
		-object memory-backend-ram,id=m0,size=64M,host-nodes=0,policy=bind,prealloc=on \
		-object memory-backend-memfd,id=m1,size=64M,host-nodes=0,policy=interleave \
		-object "memory-backend-file,share=on,mem-path=$VM_DIR/ram,id=m2,size=64M,host-nodes=0,policy=bind" \
		-object memory-backend-ram,id=m3,size=64M,host-nodes=0,policy=preferred \
		-numa node,cpus=0,memdev=m0 -numa node,cpus=1,memdev=m1 -numa node,cpus=2,memdev=m2 -numa node,cpus=3,memdev=m3
	local before
	before=$(policies)
	grep -qx 'bind:0 2' <<<"$before"
	grep -qx 'interleave:0 1' <<<"$before"
	grep -q '^prefer' <<<"$before"
	through_updates --file "$VM_DIR/ram"
	diff <(echo "$before") <(policies)
}

# --- memory of devices ---

# ram_fd BLOCK: the descriptor that holds the memory of a RAM block
ram_fd() {
	ctl status --json "$VM_PID" |
		jq --arg name "$1" '(.data // .).ram[] | select(.name == $name or (.name | endswith("/" + $name))) | .fd'
}

# address_of ID: where the guest sees a memory device
address_of() {
	vm_ctl query-memory-devices | jq --arg id "$1" '.[].data | select(.id == $id) | .memaddr // .addr'
}

# write_memory FILE TEXT: at its first MiB
write_memory() { printf '%s' "$2" | dd of="$1" bs=1M seek=1 conv=notrunc status=none; }

# guest_sees ID TEXT: what QEMU has mapped there for the guest, not what a file holds
guest_sees() {
	local address

	address=$(address_of "$1")
	vm_ctl "{\"execute\": \"pmemsave\", \"arguments\": {\"val\": $((address + (1 << 20))), \"size\": ${#2}, \"filename\": \"$VM_DIR/seen\"}}"
	[ "$(cat "$VM_DIR/seen")" = "$2" ]
}

@test "DIMM, NVDIMM and ivshmem: each has its contents, and a file stays shared" {
	local file name
	for file in nv ro; do
		truncate -s 64M "$VM_DIR/$file"
		write_memory "$VM_DIR/$file" "$file at first"
	done
	boot_guest -M "$MACHINE,nvdimm=on" -m 128,slots=4,maxmem=4G \
		-object memory-backend-ram,id=dimm,size=128M,prealloc=on -device pc-dimm,id=dev-dimm,memdev=dimm \
		-object "memory-backend-file,id=nv,share=on,pmem=off,mem-path=$VM_DIR/nv,size=64M" \
		-device nvdimm,id=dev-nv,memdev=nv,label-size=128K \
		-object "memory-backend-file,id=ro,share=on,readonly=on,mem-path=$VM_DIR/ro,size=64M" \
		-device nvdimm,id=dev-ro,memdev=ro,unarmed=on \
		-object memory-backend-memfd,id=shm,size=64M -device ivshmem-plain,memdev=shm,master=on
	write_memory "/proc/$VM_PID/fd/$(ram_fd dimm)" "dimm at first"
	write_memory "/proc/$VM_PID/fd/$(ram_fd shm)" "shm at first"
	start_watching --file "$VM_DIR/nv" --file "$VM_DIR/ro"
	for to in new old; do
		update_vm "$to"
		for name in dimm nv ro; do
			guest_sees "dev-$name" "$name at first"
		done
		[ "$(dd "if=/proc/$VM_PID/fd/$(ram_fd shm)" bs=1M skip=1 count=1 status=none | tr -d '\0')" = "shm at first" ]
	done
	memory_never_doubled
	write_memory "$VM_DIR/nv" "nv since then"
	guest_sees dev-nv "nv since then"
	guest_alive
}

mib_of_block() { echo $(($(stat -L -c %b "/proc/$VM_PID/fd/$(ram_fd "$1")") / 2048)); }

# request MIB: that much of the virtio-mem device is to be plugged in
request() {
	vm_ctl "{\"execute\": \"qom-set\", \"arguments\": {\"path\": \"vm0\", \"property\": \"requested-size\", \"value\": $(($1 << 20))}}"
	wait_for 60 has_plugged "$1"
}

has_plugged() {
	[ "$(vm_ctl query-memory-devices | jq '.[] | select(.type == "virtio-mem") | .data.size')" = $(($1 << 20)) ]
}

# with_virtio_mem BACKEND [WHAT TO WATCH]: memory that the guest is given and that is taken from it
with_virtio_mem() {
	LINUX_APPEND="memhp_default_state=online_movable"
	boot_linux -M "$MACHINE" -m 256,maxmem=2G -object "$1,id=mem0,size=512M" \
		-device virtio-mem-pci,id=vm0,memdev=mem0,requested-size=128M
	start_serial_client
	wait_for 60 has_plugged 128
	[ "$(ask touch USED)" = "USED ok" ]
	[ "$(mib_of_block mem0)" -gt 64 ]
	start_watching "${@:2}"
	for to in new old; do
		update_vm "$to"
		has_plugged 128
		let_guest_work 1
		[ "$(ask touch USED)" = "USED ok" ]
	done
	memory_never_doubled
	request 384
	[ "$(ask touch USED)" = "USED ok" ]
	request 0
	[ "$(mib_of_block mem0)" -lt 8 ]
	let_guest_work 1
	[ "$(guest_status bad)" = 0 ]
	stop_serial_client
}

@test "virtio-mem in a file of the user's: what is plugged in stays in use, and more and less can be" {
	truncate -s 512M "$VM_DIR/ram"
	with_virtio_mem "memory-backend-file,share=on,mem-path=$VM_DIR/ram" --file "$VM_DIR/ram"
}

@test "virtio-mem in plain memory: the same" {
	with_virtio_mem memory-backend-ram,reserve=off
}

# --- what cannot be, and updates that fail ---

refused_for() {
	fails update_vm new
	jq -e --arg why "$1" '.outcome == "refused" and (.reasons | length == 1) and (.reasons[0] | test($why))' <<<"$UPDATE_RESULT"
}

@test "a private mapping of the user's file is refused by name" {
	truncate -s "${MIB}M" "$VM_DIR/ram"
	backend "memory-backend-file,share=off,mem-path=$VM_DIR/ram"
	refused_for 'RAM block ram0 is a private mapping.*share=on'
}

@test "a file that is the guest's memory is renamed, replaced and deleted: it stays the memory, and no other is touched or made" {
	truncate -s "${MIB}M" "$VM_DIR/ram"
	backend "memory-backend-file,share=on,mem-path=$VM_DIR/ram"
	start_serial_client
	fill
	mv "$VM_DIR/ram" "$VM_DIR/ram.old"
	update_vm new
	is_whole
	[ ! -e "$VM_DIR/ram" ]
	truncate -s "${MIB}M" "$VM_DIR/ram"
	update_vm old
	is_whole
	[ "$(stat -c %b "$VM_DIR/ram")" = 0 ]
	rm "$VM_DIR/ram" "$VM_DIR/ram.old"
	update_vm new
	is_whole
	[ ! -e "$VM_DIR/ram" ]
	guest_alive
	stop_serial_client
}

@test "a failed update leaves preallocated, locked and huge memory as it was, and no descriptor" {
	take_huge_pages 32
	truncate -s 64M "$VM_DIR/ram"
	export CPRSHIM_METHOD=exec CPRSHIM_FAULT=load
	CPRSHIM_HUGEPAGES=off boot_guest -M "$MACHINE" -accel tcg,tb-size=64 -m 192 -overcommit mem-lock=on \
		-object memory-backend-memfd,hugetlb=on,prealloc=on,id=m0,size=64M -numa node,memdev=m0 \
		-object "memory-backend-file,share=on,mem-path=$VM_DIR/ram,id=m1,size=64M" -numa node,memdev=m1 \
		-object memory-backend-ram,prealloc=on,id=m2,size=64M,host-nodes=0,policy=bind -numa node,memdev=m2
	start_serial_client
	fill
	local locked before
	locked=$(maps_of memfd Locked)
	before=$(policies)
	fails update_vm new
	wait_for 5 has_no_child
	take_state once
	start_watching --file "$VM_DIR/ram"
	fails update_vm new
	[ "$(jq -r .outcome <<<"$UPDATE_RESULT")" = failed ]
	is_whole
	memory_never_doubled
	wait_for 5 has_no_child
	state_is once
	[ "$(maps_of memfd Locked)" = "$locked" ]
	[ "$(policies)" = "$before" ]
	guest_alive
	stop_serial_client
}
