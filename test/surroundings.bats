#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# surroundings.bats - limits, cgroups, stuck threads, filters and rights that stand against an update are named before it.

bats_require_minimum_version 1.5.0

load lib/common

# The method that rehearses, and has a way back. Others have tests of their own (relay.bats, transfer.bats).
export CPRSHIM_METHOD=exec

CGROUPS=()

setup() { setup_vm_dir; }
teardown() {
	teardown_vm_dir
	local dir

	for dir in "${CGROUPS[@]}"; do
		wait_for 5 rmdir "$dir"
	done
}

MACHINE=pc-q35-7.2

# blocked CODE PATTERN: the check says no for that reason alone; the guest is untouched.
blocked() {
	run -1 ctl check --json "$VM_PID"
	echo "$output" >&2
	jq -e --arg code "$1" --arg pattern "$2" '(.blockers | length == 1) and .blockers[0].code == $code and
		(.blockers[0].what | test($pattern))' <<<"$output"
	guest_alive
}

free_to_go() { ctl check "$VM_PID"; }

# make_cgroup CONTROLLER: a cgroup of the test's own with the VM in it, in CGROUP, by whichever version has the controller.
make_cgroup() {
	local mount

	CGROUP=
	mount=$(awk -v name="$1" '$3 == "cgroup" && ("," $4 ",") ~ "," name "," { print $2; exit }' /proc/mounts)
	if [ -z "$mount" ]; then
		mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
		echo "+$1" >"$mount/cgroup.subtree_control" || skip "no cgroup with the controller $1 can be made here"
	fi
	CGROUP=$mount/cprshim-${VM_DIR##*.}
	mkdir "$CGROUP" || skip "no cgroup can be made here"
	CGROUPS+=("$CGROUP")
	echo "$VM_PID" >"$CGROUP/cgroup.procs"
}

# set_limit VALUE FILE...: into the one that there is
set_limit() {
	local value=$1 file

	shift
	for file; do
		[ ! -e "$CGROUP/$file" ] || echo "$value" >"$CGROUP/$file"
	done
}

@test "no room in the cgroup for a second QEMU's threads or memory; with room, updated" {
	boot_guest -M $MACHINE
	start_serial_client
	make_cgroup pids
	set_limit $(($(thread_count) + 2)) pids.max
	blocked cgroup-pids 'cprshim-.*/pids.max leaves 2$'
	set_limit max pids.max
	free_to_go
	# Nothing is started in a cgroup whose memory may be used up by it.
	make_cgroup memory
	set_limit 16M memory.max memory.limit_in_bytes
	blocked cgroup-memory 'cprshim-.*/memory\.(max|limit_in_bytes) leaves 1[0-6] MiB$'
	set_limit 1G memory.max memory.limit_in_bytes
	free_to_go
	update_vm new
	guest_alive
	end_process "$VM_PID"
}

@test "limits of the process that a second QEMU would meet" {
	boot_guest -M $MACHINE
	start_serial_client
	prlimit --pid "$VM_PID" --data=$((300 << 20)):unlimited
	blocked resource 'prlimit --data'
	prlimit --pid "$VM_PID" --data=unlimited --fsize=1000000:unlimited
	blocked resource 'prlimit --fsize'
	prlimit --pid "$VM_PID" --fsize=unlimited --as=$((64 << 20)):unlimited
	blocked resource 'prlimit --as'
	prlimit --pid "$VM_PID" --as=unlimited
	update_vm new
	guest_alive
}

@test "a user who has no threads left, and an image that this user cannot open any more" {
	cp "$SHIM" "$GUEST" "$VM_DIR"
	mkdir -p "$VM_DIR/new/bin"
	cp "$QEMU_NEW" "$VM_DIR/new/bin"
	SHIM=$VM_DIR/${SHIM##*/} GUEST=$VM_DIR/${GUEST##*/}
	truncate -s 16M "$VM_DIR/disk.raw"
	chown -R nobody "$VM_DIR"
	VM_WRAPPER=(setpriv --reuid nobody --clear-groups --inh-caps=-all)
	boot_guest -M $MACHINE -drive "file=$VM_DIR/disk.raw,format=raw,if=none,id=disk" -device virtio-blk-pci,drive=disk
	start_serial_client
	local before as_nobody=(setpriv --reuid nobody --clear-groups)
	before=$("${as_nobody[@]}" prlimit --pid "$VM_PID" --nproc --noheadings -o SOFT)
	"${as_nobody[@]}" prlimit --pid "$VM_PID" --nproc=5:
	blocked resource 'prlimit --nproc\), 5, '
	"${as_nobody[@]}" prlimit --pid "$VM_PID" --nproc="$before:"
	chown root "$VM_DIR/disk.raw"
	chmod 644 "$VM_DIR/disk.raw"
	blocked file-no-access 'disk.raw cannot be opened again by this process: Permission denied'
	chmod 666 "$VM_DIR/disk.raw"
	update_vm "$VM_DIR/new/bin/qemu-system-x86_64"
	guest_alive
}

@test "a thread in uninterruptible sleep that does not end" {
	# Whoever waits for a vfork()'s child sleeps so (kernel/fork.c:wait_for_vfork_done).
	cat >"$VM_DIR/stuck.c" <<-'END'
		#define _GNU_SOURCE
		#include <pthread.h>
		#include <sched.h>
		#include <signal.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/syscall.h>
		#include <sys/wait.h>
		#include <unistd.h>
		static int is_said(void)
		{
			FILE *f = fopen(getenv("STUCK_FILE"), "r");
			int pid = 0;
			if (f && fscanf(f, "%d", &pid) != 1)
				pid = 0;
			if (f)
				fclose(f);
			return pid == getpid();
		}
		static void *run(void *arg)
		{
			(void)arg;
			while (!is_said())
				usleep(10000);
			int pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
			if (!pid) {
				for (int fd = 0; fd < 4096; fd++)
					syscall(SYS_close, fd);
				while (!access(getenv("STUCK_FILE"), F_OK))
					usleep(10000);
				syscall(SYS_exit_group, 0);
			}
			waitpid(pid, NULL, 0);
			return NULL;
		}
		static __attribute__((constructor)) void start(void)
		{
			pthread_t thread;
			pthread_create(&thread, NULL, run, NULL);
		}
	END
	"${CC:-gcc}" -shared -fPIC -pthread -o "$VM_DIR/stuck.so" "$VM_DIR/stuck.c"
	export STUCK_FILE=$VM_DIR/stuck
	SHIM="$SHIM:$VM_DIR/stuck.so"
	boot_guest -M $MACHINE
	start_serial_client
	free_to_go
	echo "$VM_PID" >"$STUCK_FILE"
	wait_for 5 has_sleeper
	blocked thread-stuck 'thread [0-9]+ \(.+\) is stuck'
	rm "$STUCK_FILE"
	wait_for 5 has_no_child
	free_to_go
}

has_sleeper() { grep -qs '^State:.D' "/proc/$VM_PID"/task/*/status; }

@test "a seccomp filter of another program's: named where it forbids the exec, and no matter where it does not" {
	cat >"$VM_DIR/filtered.c" <<-'END'
		#include <linux/filter.h>
		#include <linux/seccomp.h>
		#include <stddef.h>
		#include <stdlib.h>
		#include <sys/prctl.h>
		#include <sys/syscall.h>
		#include <unistd.h>
		int main(int argc, char *argv[])
		{
			struct sock_filter code[] = {
				BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
				BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)atoi(argv[1]), 0, 1),
				BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
				BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
			};
			struct sock_fprog prog = { sizeof(code) / sizeof(code[0]), code };
			if (argc < 3 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
				return 1;
			execvp(argv[2], argv + 2);
			return 1;
		}
	END
	"${CC:-gcc}" -o "$VM_DIR/filtered" "$VM_DIR/filtered.c"
	# 322 is execveat, 9999 is nothing.
	VM_WRAPPER=("$VM_DIR/filtered" 322)
	boot_guest -M $MACHINE
	start_serial_client
	blocked seccomp-foreign 'forbids execveat'
	stop_serial_client
	end_process "$VM_PID"
	VM_WRAPPER=("$VM_DIR/filtered" 9999)
	boot_guest -M $MACHINE
	start_serial_client
	update_vm new
	update_vm old
	guest_alive
}

@test "every memfd of the shim and of cprctl is made as one that is not executable" {
	# The kernel warns of others, and Linux 6.3 to 6.5 refuse them with vm.memfd_noexec=2.
	VM_WRAPPER=(strace -f -qq -e trace=memfd_create -o "$VM_DIR/made")
	boot_guest -M "$MACHINE,memory-backend=m" \
		-object "memory-backend-file,id=m,size=256M,mem-path=$VM_DIR/ram,share=on"
	VM_PID=$(cat "$VM_DIR/pid")
	STARTED+=("$VM_PID")
	# 1: there is something on this host that gets in the way.
	strace -f -qq -e trace=memfd_create -o "$VM_DIR/made.ctl" env "CPRSHIM_RUNDIR=$VM_DIR/run" "$CPRCTL" doctor || [ $? = 1 ]
	update_by_ctl --no-rehearse --binary "$QEMU_NEW"
	sed -n 's/.*memfd_create("\(cprshim-cover\|cprshim-ram\|cprctl\)".*/\1/p' "$VM_DIR/made" "$VM_DIR/made.ctl" |
		sort -u | diff -u - <(printf '%s\n' cprctl cprshim-cover cprshim-ram)
	run -1 grep -E 'memfd_create\("cpr' <(grep -vE 'MFD_NOEXEC_SEAL|\<0x8\>|\|0x8' "$VM_DIR/made" "$VM_DIR/made.ctl")
}
