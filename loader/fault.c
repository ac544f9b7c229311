/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fault.c - break an update at a named stage; see fault.h. */
#include "fault.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shim/guard.h"
#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/settings.h"
#include "../shim/slots.h"
#include "qmp.h"
#include "vm.h"

#define LIST_MAX 1024
#define KIND_MAX 16
#define LOOK_US	 5000

static int *volatile nowhere;

static void by_exit(void)
{
	exit(3);
}

static void by_quick(void)
{
	_exit(6);
}

static void by_segv(void)
{
	*nowhere = 1; /* NOLINT: the fault that is asked for */
}

/* A page that its file does not have. */
static void by_bus(void)
{
	volatile char *page = real(mmap)(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, slots_memfd("cprshim-bus"), 0);

	*page = 1;
}

static void by_ill(void)
{
	__builtin_trap();
}

static void by_fpe(void)
{
	raise(SIGFPE);
}

static void by_trap(void)
{
	raise(SIGTRAP);
}

static void by_sys(void)
{
	raise(SIGSYS);
}

static void by_xfsz(void)
{
	raise(SIGXFSZ);
}

static void by_kill(void)
{
	raise(SIGKILL);
}

static void by_hang(void)
{
	for (;;)
		pause();
}

static void by_fds(void)
{
	while (real(fcntl)(vm.journal_fd, F_DUPFD_CLOEXEC, 3) >= 0)
		;
}

/* Halves of what there is, down to a page: after that there is no room for any mapping, and none for the heap to grow. */
static void by_memory(void)
{
	for (size_t size = SIZE_MAX / 2 + 1; size >= 4096; size /= 2)
		while (real(mmap)(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
		       MAP_FAILED)
			;
}

static const struct kind {
	const char *name;
	void (*happens)(void);
	bool here; /* on whatever thread it is */
} kinds[] = {
	{ "exit", by_exit, false }, { "quick", by_quick, false }, { "abort", abort, false },
	{ "segv", by_segv, false }, { "bus", by_bus, false },	  { "ill", by_ill, false },
	{ "fpe", by_fpe, false },   { "trap", by_trap, false },	  { "sys", by_sys, false },
	{ "xfsz", by_xfsz, false }, { "kill", by_kill, false },	  { "hang", by_hang, false },
	{ "stuck", by_hang, true }, { "fds", by_fds, false },	  { "memory", by_memory, false },
};

static void call(void *happens)
{
	(*(void (**)(void))happens)();
}

/* As what is QEMU's own doing would: on its main thread. */
static void break_program(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		static void (*happens)(void);

		if (strcmp(name, kinds[i].name) != 0)
			continue;
		happens = kinds[i].happens;
		if (kinds[i].here || syscall(SYS_gettid) == syscall(SYS_getpid))
			happens();
		else
			qmp_call_on_main(call, &happens, qmp_in_ms(vm.cpr_state->vm[0].timeout_s * 1000));
	}
}

/* Whoever wants to act at this stage sees the file, acts, and removes it. */
static void wait_at(const char *stage)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s.%s", settings.fault + 1, stage);
	int fd = real(open)(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (*settings.fault != '@' || fd < 0)
		return;
	real(close)(fd);
	while (!access(path, F_OK))
		usleep(LOOK_US);
}

static const char *read_list(char buf[LIST_MAX])
{
	if (*settings.fault != '@')
		return settings.fault;
	int fd = real(open)(settings.fault + 1, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, LIST_MAX - 1);
	if (fd >= 0)
		real(close)(fd);
	buf[n > 0 ? n : 0] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

/* The kind of one entry of the list, "STAGE[:KIND][@N]", if it is for this stage and this update. */
static bool take_entry(const char *entry, size_t len, const char *stage, char ret[KIND_MAX])
{
	size_t name = strlen(stage), words = strcspn(entry, "@,");

	if (words > len || words < name || strncmp(entry, stage, name) != 0)
		return false;
	if (words < len && strtoul(entry + words + 1, NULL, 10) != json_array_size(vm.history))
		return false;
	if (words == name) {
		strcpy(ret, "fail");
		return true;
	}
	snprintf(ret, KIND_MAX, "%.*s", (int)(words - name - 1), entry + name + 1);
	return entry[name] == ':';
}

static bool find(const char *stage, char ret[KIND_MAX])
{
	char buf[LIST_MAX];

	for (const char *at = read_list(buf); *at;) {
		size_t len = strcspn(at, ",");

		if (take_entry(at, len, stage, ret))
			return true;
		at += len + (at[len] ? 1 : 0);
	}
	return false;
}

/* Is this the process that a guest belongs to, and which gets it back from a stand-in? */
static bool comes_back(void)
{
	return vm.cpr_state && guard_role() == SHIM_SUCCESSOR && vm.cpr_state->transfer_count &&
	       vm.cpr_state->transfer[0].how == CPR_TRANSFER_BACK;
}

/**
 * fault_at() - is anything to break here?
 * @stage: where we are; those that there are, and the kinds of faults, are in fault.h
 *
 * Return: true where the caller's step is to fail. Any other fault has happened by then, if it lets us come back.
 */
bool fault_at(const char *stage)
{
	char kind[KIND_MAX], name[64];

	if (!settings.fault)
		return false;
	const char *when = guard_rehearses()			   ? "rehearsal-"
			   : vm.journal && vm.journal->attempt > 1 ? "back-"
			   : vm.gives_back || comes_back()	   ? "relay-"
								   : "";
	snprintf(name, sizeof(name), "%s%s", when, stage);
	if (!find(name, kind))
		return false;
	log_warn("CPRSHIM_FAULT: %s at %s", kind, name);
	if (!strcmp(kind, "fail"))
		return true;
	if (!strcmp(kind, "wait"))
		wait_at(name);
	else if (guard_role() == SHIM_SUCCESSOR)
		break_program(kind);
	return false;
}
