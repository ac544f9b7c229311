/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_doctor.c - cprctl doctor: what on this host gets in the way of updates.
 *
 * The host is looked at here. What stands against a VM's update is the VM's to say (its status), and is not judged twice.
 */
#include <errno.h>
#include <gnu/libc-version.h>
#include <jansson.h>
#include <linux/kcmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../state/rundir.h"
#include "columns.h"
#include "ctl.h"
#include "fleet.h"
#include "installed.h"
#include "jget.h"
#include "memfds.h"
#include "policyfile.h"
#include "runnable.h"
#include "text.h"

/* Which the profile of each VM of libvirt's includes (abstractions/libvirt-qemu). */
#define LIBVIRT_RULES "/etc/apparmor.d/local/abstractions/libvirt-qemu"
#define THP	      "/sys/kernel/mm/transparent_hugepage/"
/* Descriptors of ours have numbers from 700 on, from half the limit on where that is lower (shim/slots.c). */
#define FILES_WANTED 1024

enum verdict {
	VERDICT_OK,
	VERDICT_NOTE,	 /* updates work, otherwise than they could */
	VERDICT_PROBLEM, /* they do not */
};

static const char *const verdicts[] = { "ok", "note", "problem" };

/* Adds what was found; @todo is what to do about it, or NULL. Where memory is short it is missing, and printing fails too. */
static void __attribute__((format(printf, 5, 6)))
add(json_t *found, const char *subject, enum verdict verdict, const char *todo, const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	json_array_append_new(found, json_pack("{s:s, s:s, s:o, s:s?}", "subject", subject, "verdict",
					       verdicts[verdict], "text", jget_new_text(text), "do", todo));
}

/* The first line of a file, "" where it cannot be read. */
static void read_line(const char *path, char *ret, int size)
{
	FILE *in = fopen(path, "re");

	if (!in || !fgets(ret, size, in))
		ret[0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	if (in)
		fclose(in);
}

static bool kernel_has(int major, int minor)
{
	struct utsname name;
	int have, less;

	return !uname(&name) && sscanf(name.release, "%d.%d", &have, &less) == 2 &&
	       (have > major || (have == major && less >= minor));
}

static void look_at_kernel(json_t *found)
{
	pid_t pid = getpid();
	struct utsname name;
	int fd;

	if (uname(&name))
		return;
	if (kernel_has(5, 11))
		add(found, "kernel", VERDICT_OK, NULL, "Linux %s, glibc %s", name.release, gnu_get_libc_version());
	else
		add(found, "kernel", VERDICT_PROBLEM, "boot Linux 5.11 or newer", "Linux %s is too old", name.release);
	if (syscall(SYS_kcmp, pid, pid, KCMP_FILE, 0, 0) < 0 && errno != EBADF)
		add(found, "kernel", VERDICT_NOTE,
		    "a kernel with CONFIG_KCMP, and a seccomp filter that allows kcmp(2)",
		    "kcmp(2): %s; relay and transfer cannot tell whether connections have changed", strerror(errno));
	fd = memfds_create("cprctl");
	if (fd < 0)
		add(found, "kernel", VERDICT_PROBLEM, "sysctl vm.memfd_noexec=1 or 0",
		    "memfd_create(2): %s; guest memory and state are in memfds", strerror(errno));
	else
		close(fd);
}

static void look_at_huge_pages(json_t *found)
{
	char anonymous[128], shared[128];

	read_line(THP "enabled", anonymous, sizeof(anonymous));
	read_line(THP "shmem_enabled", shared, sizeof(shared));
	if (!strstr(shared, "[never]") || strstr(anonymous, "[never]") || !*anonymous)
		add(found, "huge pages", VERDICT_OK, NULL, "guest memory gets those that the kernel gives it");
	else if (kernel_has(6, 1))
		add(found, "huge pages", VERDICT_OK, NULL,
		    "the kernel gives shared memory none (shmem_enabled); the shim makes them, soon after it was used");
	else
		add(found, "huge pages", VERDICT_NOTE,
		    "echo advise > " THP "shmem_enabled, or CPRSHIM_HUGEPAGES=hugetlb, or Linux 6.1",
		    "the kernel gives shared memory none (shmem_enabled): guests run with small pages");
}

static void look_at_memory(json_t *found)
{
	char mode[16];

	read_line("/proc/sys/vm/overcommit_memory", mode, sizeof(mode));
	if (!strcmp(mode, "2"))
		add(found, "memory", VERDICT_NOTE,
		    "sysctl vm.overcommit_memory=0, or room for each guest's memory twice",
		    "the host does not overcommit: a new QEMU reserves its guest's memory once more as it starts");
	else
		add(found, "memory", VERDICT_OK, NULL,
		    "a new QEMU needs room beside the guest's own memory, which is not copied");
}

static void look_at_limits(json_t *found)
{
	struct rlimit files, locked;

	if (getrlimit(RLIMIT_NOFILE, &files) || getrlimit(RLIMIT_MEMLOCK, &locked))
		return;
	if (files.rlim_cur < FILES_WANTED)
		add(found, "ulimits", VERDICT_NOTE, "ulimit -n 1024 or more, LimitNOFILE= in a unit",
		    "a VM started from here may open %llu files, and the shim takes some 90 of them",
		    (unsigned long long)files.rlim_cur);
	else
		add(found, "ulimits", VERDICT_OK, NULL, "a VM started from here may open %llu files",
		    (unsigned long long)files.rlim_cur);
	if (geteuid() && locked.rlim_cur != RLIM_INFINITY)
		add(found, "memlock", VERDICT_NOTE, "ulimit -l unlimited, LimitMEMLOCK= in a unit",
		    "a VM started from here may lock %llu KiB: mem-lock=on needs as much as its memory, at each update again",
		    (unsigned long long)locked.rlim_cur >> 10);
	else
		add(found, "memlock", VERDICT_OK, NULL,
		    "VMs started from here may lock their memory; they are updated by exec");
}

/* Has a profile, or a part of one, such a line? -ENOENT where there is no such file. */
static int profile_includes(const char *path, const char *what)
{
	FILE *f = fopen(path, "re");
	char line[512];
	int found = 0;

	if (!f)
		return -ENOENT;
	while (!found && fgets(line, sizeof(line), f)) {
		const char *at = line + strspn(line, " \t");

		at += *at == '#'; /* "#include", as of old, is no comment; "# include" is */
		found = !strncmp(at, "include", strlen("include")) && strstr(at, what);
	}
	fclose(f);
	return found;
}

static void look_at_apparmor(json_t *found)
{
	switch (profile_includes(LIBVIRT_RULES, "<abstractions/cprshim>")) {
	case 0:
		add(found, "sandbox", VERDICT_NOTE, "add \"include <abstractions/cprshim>\" to " LIBVIRT_RULES,
		    "AppArmor is on, and does not let VMs of libvirt do what an update does");
		break;
	case 1:
		add(found, "sandbox", VERDICT_OK, NULL,
		    "AppArmor is on, and lets VMs of libvirt do what an update does");
		break;
	default:
		add(found, "sandbox", VERDICT_NOTE, "include <abstractions/cprshim> in it",
		    "AppArmor is on: a profile for QEMU must allow what an update does");
	}
}

static void look_at_confinement(json_t *found)
{
	char text[16];

	read_line("/sys/module/apparmor/parameters/enabled", text, sizeof(text));
	if (*text == 'Y')
		look_at_apparmor(found);
	read_line("/sys/fs/selinux/enforce", text, sizeof(text));
	if (*text == '1')
		add(found, "sandbox", VERDICT_NOTE, "docs/confinement.md says what to allow",
		    "SELinux is enforcing: a domain for QEMU must allow what an update does");
}

static bool usable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode) && (st.st_uid == geteuid() || !st.st_uid) &&
	       (!(st.st_mode & (S_IWGRP | S_IWOTH)) || st.st_mode & S_ISVTX) && !access(path, W_OK | X_OK);
}

static void look_at_run_directory(json_t *found)
{
	const char *own = getenv("XDG_RUNTIME_DIR");
	struct stat st;

	if (usable(RUNDIR_DEFAULT) || (stat(RUNDIR_DEFAULT, &st) && !access("/run", W_OK | X_OK)))
		add(found, "sockets", VERDICT_OK, NULL, "VMs of this user have their sockets in " RUNDIR_DEFAULT);
	else if (own && *own == '/' && usable(own))
		add(found, "sockets", VERDICT_OK, NULL, "VMs of this user have their sockets in %s/" RUNDIR_USER, own);
	else
		add(found, "sockets", VERDICT_PROBLEM,
		    "CPRSHIM_RUNDIR, which is to name a directory of this user's alone",
		    "neither " RUNDIR_DEFAULT
		    " nor XDG_RUNTIME_DIR can be used: VMs of this user have no control socket, and "
		    "can be updated by SIGUSR2 only");
}

static void look_at_installation(json_t *found)
{
	char *library, why[POLICYFILE_WHY];
	struct policy policy;

	if (installed_find("", "libcprshim.so", &library)) {
		add(found, "library", VERDICT_PROBLEM, "install it, or name it by CPRSHIM_LIB",
		    "libcprshim.so was not found");
	} else {
		const char *problem = runnable_library_problem(library);

		add(found, "library", problem ? VERDICT_PROBLEM : VERDICT_OK, problem ? "install it anew" : NULL,
		    "%s%s%s", library, problem ? ": " : "", problem ? problem : "");
		free(library);
	}
	if (policyfile_read(&policy, why))
		add(found, "policy", VERDICT_PROBLEM, "see cprshim.conf(5)", "%s: cprctl updates no VM", why);
	else
		add(found, "policy", VERDICT_OK, NULL, "replacements may come from %s",
		    policy.count ? "the directories that " POLICY_FILE " allows" : "anywhere");
}

static int look_at_vm(const struct fleet_vm *one, void *opaque)
{
	const json_t *blockers = json_object_get(json_object_get(one->answer, "data"), "blockers"), *blocker;
	const char *name = jget_text_or(one->row, "name", ""), *note = jget_text_or(one->row, "note", NULL);
	char subject[160];
	size_t i;

	if (one->elsewhere)
		return 0;
	snprintf(subject, sizeof(subject), "VM %d%s%.128s", (int)json_integer_value(json_object_get(one->row, "pid")),
		 *name ? " " : "", name);
	if (note)
		add(opaque, subject, VERDICT_PROBLEM, NULL, "%s", note);
	else if (!json_array_size(blockers))
		add(opaque, subject, VERDICT_OK, NULL, "nothing stands against an update");
	json_array_foreach(blockers, i, blocker)
		add(opaque, subject, VERDICT_PROBLEM, jget_text_or(blocker, "do", NULL), "%s: %s",
		    jget_text(blocker, "code"), jget_text(blocker, "what"));
	return 0;
}

static enum text_color color_of(const char *verdict)
{
	return !strcmp(verdict, verdicts[VERDICT_OK])	  ? TEXT_GOOD
	       : !strcmp(verdict, verdicts[VERDICT_NOTE]) ? TEXT_WARNING
							  : TEXT_BAD;
}

static int print(const json_t *found)
{
	struct columns c = { .count = 3 };
	const json_t *one;
	size_t i;
	int err;

	json_array_foreach(found, i, one) {
		const char *todo = jget_text_or(one, "do", NULL);

		columns_add(&c, jget_text(one, "verdict"));
		columns_color(&c, color_of(jget_text(one, "verdict")));
		columns_add(&c, jget_text(one, "subject"));
		columns_add(&c, jget_text(one, "text"));
		if (!todo)
			continue;
		columns_add(&c, "");
		columns_add(&c, "");
		columns_addf(&c, "do: %s", todo);
	}
	err = columns_print(&c, stdout);
	columns_free(&c);
	return err;
}

static bool any_problem(const json_t *found)
{
	const json_t *one;
	size_t i;

	json_array_foreach(found, i, one) {
		if (!strcmp(jget_text(one, "verdict"), verdicts[VERDICT_PROBLEM]))
			return true;
	}
	return false;
}

/**
 * cmd_doctor() - cprctl doctor
 * @opts: the command line
 *
 * Return: CTL_OK where there is no problem, else CTL_NO.
 */
int cmd_doctor(const struct options *opts)
{
	json_t *found = json_array();
	int err;

	look_at_kernel(found);
	look_at_installation(found);
	look_at_run_directory(found);
	look_at_limits(found);
	look_at_memory(found);
	look_at_huge_pages(found);
	look_at_confinement(found);
	err = fleet_scan(opts->rundir, look_at_vm, found);
	if (!err)
		err = opts->seen & OPT_JSON ? jget_print(found) : print(found);
	if (err)
		text_error("cannot look at the host: %s", strerror(-err));
	err = err || any_problem(found) ? CTL_NO : CTL_OK;
	json_decref(found);
	return err;
}
