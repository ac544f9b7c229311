/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* surroundings.c - what is around the VM; see surroundings.h. */
#include "surroundings.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../shim/ram.h"
#include "../shim/real.h"
#include "argv.h"
#include "cgroups.h"
#include "child.h"
#include "vm.h"

/* Beside what this QEMU has by itself: page tables, and what is written as it starts. */
#define MEMORY_MORE  (UINT64_C(32) << 20)
#define THREADS_MORE 4
/* Largest file of ours: device state and stream. */
#define FILE_NEED (UINT64_C(64) << 20)
/* How long a thread may wait without being stuck, looked at in so many steps. */
#define STUCK_STEPS   50
#define STUCK_STEP_NS 100000000
#define STUCK_MAX     16
#define VERSION_MS    5000
#define STACK_BYTES   65536

static uint64_t ram_bytes(uint64_t *ret_largest)
{
	struct ram_map *maps = calloc(RAM_MAPS, sizeof(*maps));
	size_t n = maps ? ram_list(maps, RAM_MAPS) : 0;
	uint64_t sum = 0;

	*ret_largest = 0;
	for (size_t i = 0; i < n; i++) {
		sum += maps[i].size;
		if (maps[i].size > *ret_largest)
			*ret_largest = maps[i].size;
	}
	free(maps);
	return sum;
}

static void check_limit(int resource, const char *name, const char *option, uint64_t need, struct reasons *reasons)
{
	struct rlimit limit;

	if (!getrlimit(resource, &limit) && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < need)
		reasons_add(reasons, BLOCKER_RESOURCE,
			    "a second QEMU may need a %s of %" PRIu64 " MiB, and the limit (prlimit --%s) is %" PRIu64
			    " MiB",
			    name, need >> 20, option, (uint64_t)limit.rlim_cur >> 20);
}

/* How many threads has this user? Those of others that cannot be seen are not counted. */
static uint64_t threads_of_user(void)
{
	DIR *d = real(opendir)("/proc");
	uint64_t sum = 0;

	for (struct dirent *entry; d && (entry = readdir(d));) {
		char path[300], text[4096];
		unsigned int uid, threads;

		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/status", entry->d_name);
		vm_read_file(path, text, sizeof(text));
		const char *at_uid = strstr(text, "\nUid:"), *at_threads = strstr(text, "\nThreads:");
		if (at_uid && at_threads && sscanf(at_uid, "\nUid: %u", &uid) == 1 && uid == getuid() &&
		    sscanf(at_threads, "\nThreads: %u", &threads) == 1)
			sum += threads;
	}
	if (d)
		real(closedir)(d);
	return sum;
}

/* Root, and who may exceed limits, are not held to this one (kernel/fork.c:copy_process). */
static void check_user(uint64_t threads, struct reasons *reasons)
{
	uint64_t may = UINT64_C(1) << CAP_SYS_RESOURCE | UINT64_C(1) << CAP_SYS_ADMIN;
	struct rlimit limit;

	if (!getuid() || vm_process_status("CapEff", 16) & may || getrlimit(RLIMIT_NPROC, &limit) ||
	    limit.rlim_cur == RLIM_INFINITY)
		return;
	uint64_t used = threads_of_user();
	if (used + threads > limit.rlim_cur)
		reasons_add(reasons, BLOCKER_RESOURCE,
			    "a second QEMU may need %" PRIu64
			    " threads, and of the limit on the user's (prlimit --nproc), %" PRIu64 ", %" PRIu64
			    " are in use",
			    threads, (uint64_t)limit.rlim_cur, used);
}

static void check_host(uint64_t memory, struct reasons *reasons)
{
	char text[4096];

	vm_read_file("/proc/meminfo", text, sizeof(text));
	const char *at = strstr(text, "\nMemAvailable:");
	uint64_t left = at ? strtoull(at + strlen("\nMemAvailable:"), NULL, 10) << 10 : UINT64_MAX;
	if (left < memory)
		reasons_add(reasons, BLOCKER_RESOURCE,
			    "a second QEMU may need %" PRIu64 " MiB, and the host has %" PRIu64 " MiB left",
			    memory >> 20, left >> 20);
}

static void check_room(struct reasons *reasons)
{
	uint64_t memory = (vm_process_status("RssAnon", 10) << 10) + MEMORY_MORE, largest;
	uint64_t threads = vm_process_status("Threads", 10) + THREADS_MORE, ram = ram_bytes(&largest);

	cgroups_check(memory, threads, reasons);
	check_host(memory, reasons);
	check_user(threads, reasons);
	/* As a successor starts it has private memory in the place of the guest's (shim/ram.c:map_scratch). */
	check_limit(RLIMIT_DATA, "data segment", "data", (vm_process_status("VmData", 10) << 10) + ram, reasons);
	check_limit(RLIMIT_AS, "address space", "as", vm_process_status("VmSize", 10) << 10, reasons);
	check_limit(RLIMIT_FSIZE, "file", "fsize", largest > FILE_NEED ? largest : FILE_NEED, reasons);
}

/* Is it in uninterruptible sleep? And which one: how often it has been switched away from. */
static bool sleeps(pid_t tid, char ret_name[32], uint64_t *ret_switches)
{
	char path[64], text[4096];
	unsigned long voluntary = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	vm_read_file(path, text, sizeof(text));
	const char *state = strstr(text, "\nState:\tD"), *switches = strstr(text, "\nvoluntary_ctxt_switches:");
	if (sscanf(text, "Name: %31[^\n]", ret_name) != 1)
		ret_name[0] = '\0';
	if (switches)
		sscanf(switches, "\nvoluntary_ctxt_switches: %lu", &voluntary);
	*ret_switches = voluntary;
	return state;
}

struct sleeper {
	pid_t tid;
	char name[32];
	uint64_t switches;
};

static size_t find_sleepers(struct sleeper ret[STUCK_MAX])
{
	DIR *d = real(opendir)("/proc/self/task");
	size_t n = 0;

	for (struct dirent *entry; d && n < STUCK_MAX && (entry = readdir(d));) {
		ret[n].tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (ret[n].tid > 0 && sleeps(ret[n].tid, ret[n].name, &ret[n].switches))
			n++;
	}
	if (d)
		real(closedir)(d);
	return n;
}

/* A thread that waits for a disk sleeps so too; it is stuck where that sleep does not end. */
static void check_threads(struct reasons *reasons)
{
	const struct timespec step = { .tv_nsec = STUCK_STEP_NS };
	struct sleeper list[STUCK_MAX];
	size_t n = find_sleepers(list);

	for (int i = 0; n && i < STUCK_STEPS; i++) {
		size_t left = 0;

		nanosleep(&step, NULL);
		for (size_t k = 0; k < n; k++) {
			struct sleeper now = list[k];

			if (sleeps(now.tid, now.name, &now.switches) && now.switches == list[k].switches)
				list[left++] = now;
		}
		n = left;
	}
	for (size_t k = 0; k < n; k++)
		reasons_add(reasons, BLOCKER_THREAD_STUCK, "thread %d (%s) is stuck in uninterruptible sleep",
			    (int)list[k].tid, list[k].name);
}

/* The exec itself, in a child that only tells what this QEMU's version is. */
static int exec_version(void *opaque)
{
	char *argv[] = { vm.argv[0], (char *)"--version", NULL }, *envp[] = { NULL };
	int null = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);

	(void)opaque;
	syscall(SYS_dup3, null, STDIN_FILENO, 0);
	syscall(SYS_dup3, null, STDOUT_FILENO, 0);
	syscall(SYS_dup3, null, STDERR_FILENO, 0);
	syscall(SYS_execveat, vm.binary.fd, "", argv, envp, AT_EMPTY_PATH);
	syscall(SYS_exit_group, 1);
	return 1;
}

/*
 * QEMU's own filter is known, and what it says is on the command line (loader/refused.c). Of another one it is known only
 * that it lets the probes start; the update itself begins with another call.
 */
static void check_filters(struct reasons *reasons)
{
	uint64_t filters = vm_process_status("Seccomp_filters", 10);
	char *stack = filters ? malloc(STACK_BYTES) : NULL;

	if (!stack || filters <= (argv_has(vm.argv, "sandbox") ? 1 : 0)) {
		free(stack);
		return;
	}
	pid_t pid = clone(exec_version, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
	if (pid < 0 || child_wait(pid, VERSION_MS))
		reasons_add(reasons, BLOCKER_SECCOMP_FOREIGN,
			    "a seccomp filter that QEMU has not set itself forbids execveat, clone or pidfd_open");
	free(stack);
}

/**
 * surroundings_check() - what around the VM stands against an update?
 * @reasons: all of it
 *
 * Return: is there room for a second QEMU? Where there is not, none is to be started: the guest could be what is ended.
 */
bool surroundings_check(struct reasons *reasons)
{
	struct reasons room = REASONS_INIT;

	check_room(&room);
	bool is_room = !reasons_any(&room);
	reasons_move(reasons, &room);
	check_threads(reasons);
	if (is_room)
		check_filters(reasons);
	return is_room;
}
