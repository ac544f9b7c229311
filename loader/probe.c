/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* probe.c - start a QEMU binary for a moment; see probe.h. */
#include "probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/settings.h"
#include "../shim/slots.h"
#include "../state/elffile.h"
#include "argv.h"
#include "clock.h"
#include "confined.h"
#include "guestcpu.h"
#include "library.h"
#include "needs.h"
#include "pins.h"
#include "qmp.h"
#include "refused.h"

#define PROBE_MS 15000
/*
 * "cprshim PID ADDED VERSION COMPAT", where ADDED is the number of arguments that follow or -1; the library's path, QEMU's
 * path, and these arguments; zeroes between. Another version of this library reads it, too.
 */
#define ANSWER	     "cprshim %d %d %u %u"
#define ANSWER_PARTS 4
#define ANSWER_BYTES 32768
/* Numbers that no shell takes for its own: those below 10 are its scripts', from 10 on it looks for a free one. */
#define CHILD_FIRST   30
#define CHILD_LIBRARY 30
#define CHILD_ANSWER  31
#define CHILD_BINARY  32

static const char *const probe_args[] = {
	"-machine", "none", "-nodefaults", "-display", "none", "-qmp", "stdio", NULL
};

/* A command that gives QEMU other arguments could make it start a guest, on disks that are in use. */
static bool may_run(char *const argv[], bool passed_on, size_t own)
{
	struct reasons reasons = REASONS_INIT;
	char **added = calloc(own + 1, sizeof(*added));

	if (!passed_on || !added) {
		free(added);
		return false;
	}
	memcpy(added, argv, own * sizeof(*added));
	refused_additions(added, &reasons);
	free(added);
	bool good = !reasons_any(&reasons);
	reasons_free(&reasons);
	return good;
}

/* What is to be known of the program that the probe has led to. */
static void write_answer(int fd, char *const argv[])
{
	static char text[ANSWER_BYTES];
	struct cprstate_versions ours = cprstate_versions();
	char library[PATH_MAX] = "";
	struct vm_binary self;
	size_t own = 0, len;
	bool passed_on = start_ends_in(argv, (char *const *)probe_args, &own);

	if (start_open_self(&self))
		self.path[0] = self.module_dir[0] = '\0';
	settings_use_modules(settings_modules(self.module_dir));
	pins_own_path(library, sizeof(library));
	len = 1 + (size_t)snprintf(text, sizeof(text), ANSWER, (int)getpid(), passed_on ? (int)own - 1 : -1,
				   ours.version, ours.compat);
	len += 1 + (size_t)snprintf(text + len, sizeof(text) - len, "%s", library);
	len += 1 + (size_t)snprintf(text + len, sizeof(text) - len, "%s", self.path);
	for (size_t i = 1; i < own && len < sizeof(text); i++)
		len += 1 + (size_t)snprintf(text + len, sizeof(text) - len, "%s", argv[i]);
	if (len > sizeof(text) || write(fd, text, len) != (ssize_t)len)
		log_error("the probe could not answer");
	if (!may_run(argv, passed_on, own))
		real(_exit)(1);
}

/**
 * probe_answer() - in the probed program: we are here; it then goes on as the QEMU that it is
 * @fd:	  where to write it
 * @argv: the program's arguments
 *
 * It must not outlive the VM, which may be ended at any time.
 */
void probe_answer(int fd, char *const argv[])
{
	struct pollfd vm_side = { .fd = STDIN_FILENO, .events = POLLIN };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&vm_side, 1, 0) == 1 && (vm_side.revents & POLLHUP))
		real(_exit)(1); /* it was ended before that */
	struct stat st;

	/* A variable that has strayed here names a descriptor of somebody else's. */
	if (fstat(fd, &st) || !S_ISFIFO(st.st_mode))
		return;
	write_answer(fd, argv);
	real(close)(fd);
}

/* Who could change it would have this VM. */
static void check_owner(const char *path, const struct stat *st, struct reasons *reasons)
{
	if ((st->st_uid && st->st_uid != geteuid()) || st->st_mode & (S_IWGRP | S_IWOTH))
		reasons_add(reasons, BLOCKER_BINARY_OWNER, "%s can be changed by another user", path);
}

/**
 * probe_file() - what the file itself tells
 * @path:    where it was found
 * @fd:	     the file
 * @command: it is one that leads to a QEMU, and may be a script
 * @reasons: why it cannot replace the running QEMU
 */
void probe_file(const char *path, int fd, bool command, struct reasons *reasons)
{
	uint8_t head[ELFFILE_BYTES];
	char link[64];
	const char *why;
	struct stat st;
	ssize_t n = pread(fd, head, sizeof(head), 0);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		reasons_add(reasons, BLOCKER_BINARY_FILE, "%s is not a regular file", path);
		return;
	}
	if (access(link, X_OK))
		reasons_add(reasons, BLOCKER_BINARY_FILE, "%s is not executable", path);
	if (!command && (n < 0 || elffile_check(head, (size_t)n, &why)))
		reasons_add(reasons, BLOCKER_BINARY_FILE, "%s %s", path, n < 0 ? "cannot be read" : why);
	check_owner(path, &st, reasons);
	if ((st.st_mode & (S_ISUID | S_ISGID)) || fgetxattr(fd, "security.capability", NULL, 0) > 0)
		reasons_add(reasons, BLOCKER_BINARY_PRIVILEGED,
			    "%s gains privileges when it is started: libcprshim.so would not be loaded", path);
}

/**
 * probe_environment() - the environment that a QEMU binary is started with
 * @binary:	what is started
 * @variable:	"NAME=value": how the shim in it learns what it is there for
 * @library_fd: number under which it finds this library
 *
 * Return: an array to be freed, or NULL where memory ran out.
 */
char **probe_environment(const struct vm_binary *binary, const char *variable, int library_fd)
{
	char modules[PATH_MAX + 32], preload[sizeof(binary->preload) + 64];
	const char *extra[3] = { variable, NULL, NULL };

	snprintf(modules, sizeof(modules), "QEMU_MODULE_DIR=%s", binary->module_dir);
	/* For a command it is the QEMU that it ends in that knows, unless the command says it. */
	if (binary->module_dir[0] || binary->start.how == START_COMMAND)
		extra[1] = modules;
	snprintf(preload, sizeof(preload), "/proc/self/fd/%d%s%s", library_fd, binary->preload[0] ? ":" : "",
		 binary->preload);
	return settings_environment(binary->start.envp ? binary->start.envp : vm.envp, vm.own_path, preload, extra);
}

struct child {
	pid_t pid;
	int qmp;
	int answer;
	int errors;
};

/* stdin and stdout are QMP; from CHILD_FIRST on is what the child needs to begin with, and all else is closed. */
static int actions(posix_spawn_file_actions_t *a, const struct vm_binary *binary, int qmp, int answer, int errors)
{
	/* Ours are high numbers, so none of them is overwritten by an earlier line. */
	const int pairs[][2] = {
		{ qmp, 0 },
		{ qmp, 1 },
		{ errors, 2 },
		{ vm.library_fd, CHILD_LIBRARY },
		{ answer, CHILD_ANSWER },
		{ binary->fd, CHILD_BINARY },
	};
	int rc = posix_spawn_file_actions_init(a);

	for (size_t i = 0; !rc && i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i][0] >= 0)
			rc = posix_spawn_file_actions_adddup2(a, pairs[i][0], pairs[i][1]);
	for (int fd = STDERR_FILENO + 1; !rc && fd < CHILD_FIRST; fd++)
		rc = posix_spawn_file_actions_addclose(a, fd);
	/* libc's word for a number that is not below the limit on open files, which was lowered after we took it. */
	return rc == EBADF ? EMFILE : rc;
}

/*
 * Libraries, modules and firmware of the way back are named by the numbers that they have here: those stay open in the
 * child.
 */
static int more_actions(posix_spawn_file_actions_t *a, const struct vm_binary *binary)
{
	if (!binary->preload[0])
		return posix_spawn_file_actions_addclosefrom_np(a, CHILD_BINARY + 1);
	/* A dup2 onto itself clears close-on-exec (posix_spawn_file_actions_adddup2, POSIX 2008). */
	for (size_t i = 0; i < pins_count(); i++)
		if (posix_spawn_file_actions_adddup2(a, pins_at(i)->fd, pins_at(i)->fd))
			return -1;
	return 0;
}

/* Would the shim in it know that it is a QEMU? By its name only (start_is_vmm()). */
static bool is_named(const struct vm_binary *binary)
{
	char link[64], path[PATH_MAX];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", binary->fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	return binary->start.how != START_FILE || argv_names_vmm(vm.argv[0]) || argv_names_vmm(path);
}

/**
 * probe_spawn() - start a QEMU binary that has no machine
 * @binary:   which and how
 * @variable: "NAME=value", for its environment
 * @qmp:      for its standard input and output
 * @answer:   for the shim in it, or -1
 * @errors:   for its standard error
 * @ret_pid:  the process
 *
 * Return: 0 or a negative errno.
 */
int probe_spawn(const struct vm_binary *binary, const char *variable, int qmp, int answer, int errors, pid_t *ret_pid)
{
	char path[32];
	posix_spawn_file_actions_t a;
	posix_spawnattr_t attr;
	sigset_t none;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", CHILD_BINARY);
	char **env = probe_environment(binary, variable, CHILD_LIBRARY);
	/* Named as it will be (loader/program.c): by its name the shim tells that it is a QEMU. */
	char **argv = start_argv(binary, CHILD_BINARY, vm.argv[0], probe_args);
	int rc = env && argv ? actions(&a, binary, qmp, answer, errors) : ENOMEM;
	if (rc)
		return -rc;
	sigemptyset(&none);
	rc = more_actions(&a, binary) || posix_spawnattr_init(&attr) ||
			     posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK) ||
			     posix_spawnattr_setsigmask(&attr, &none)
		     ? ENOMEM
		     : posix_spawn(ret_pid, start_path(binary) ? start_path(binary) : path, &a, &attr, argv, env);
	posix_spawn_file_actions_destroy(&a);
	free(env);
	free(argv);
	return -rc;
}

/* The first line that the child wrote to its stderr, or "". */
static void first_error(int fd, char *ret, size_t size)
{
	ssize_t n = pread(fd, ret, size - 1, 0);

	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

/* The answer comes in one piece: it is less than a pipe holds. */
static bool shim_answered(int fd, uint64_t deadline_ns, char ret[ANSWER_BYTES + 1])
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&wait, 1, clock_left_ms(deadline_ns)) == 1 ? read(fd, ret, ANSWER_BYTES) : 0;
	struct cprstate_versions theirs;
	int pid, added;

	ret[n > 0 ? n : 0] = '\0';
	return sscanf(ret, ANSWER, &pid, &added, &theirs.version, &theirs.compat) == ANSWER_PARTS;
}

/* What was started, where, and with which arguments? */
static void judge_answer(struct vm_binary *binary, pid_t child, const char *text, struct reasons *reasons)
{
	struct cprstate_versions theirs;
	int pid = 0, added = 0;
	struct stat st;

	if (sscanf(text, ANSWER, &pid, &added, &theirs.version, &theirs.compat) != ANSWER_PARTS)
		return;
	text += strlen(text) + 1;
	library_judge(binary->path, text, theirs, reasons);
	if (binary->start.how != START_COMMAND)
		return;
	if (pid != child)
		reasons_add(reasons, BLOCKER_BINARY_OTHER_PROCESS, "%s starts QEMU in another process", binary->path);
	text += strlen(text) + 1;
	snprintf(binary->path, sizeof(binary->path), "%s", text);
	if (!stat(binary->path, &st))
		check_owner(binary->path, &st, reasons);
	if (added < 0)
		reasons_add(reasons, BLOCKER_BINARY_ARGUMENTS,
			    "the command that starts %s does not give it its own arguments, unchanged and last",
			    binary->path);
	char **list = calloc((size_t)(added > 0 ? added : 0) + 2, sizeof(*list));
	for (int i = 0; list && i <= added; i++, text += strlen(text) + 1)
		list[i] = (char *)text;
	if (list && added > 0)
		refused_additions(list, reasons);
	free(list);
}

/* The machine of this name, or NULL. */
static const json_t *find_machine(const json_t *machines, const char *name)
{
	const json_t *machine;
	size_t i;

	json_array_foreach(machines, i, machine) {
		const char *known = json_string_value(json_object_get(machine, "name"));

		if (known && !strcmp(known, name))
			return machine;
	}
	return NULL;
}

static void take_version(struct vm_binary *binary, const json_t *answer)
{
	const json_t *number = json_object_get(answer, "qemu");
	const char *package = json_string_value(json_object_get(answer, "package"));

	snprintf(binary->version, sizeof(binary->version), "%d.%d.%d",
		 (int)json_integer_value(json_object_get(number, "major")),
		 (int)json_integer_value(json_object_get(number, "minor")),
		 (int)json_integer_value(json_object_get(number, "micro")));
	snprintf(binary->package, sizeof(binary->package), "%s", package ? package : "");
}

/* It knows the machine; does it make the same of it? */
static void check_guest(struct vm_binary *binary, const char *target, const json_t *machine, struct reasons *reasons)
{
	refused_versions(target, vm.binary.version, binary->version, reasons);
	needs_modules(binary, reasons);
	guestcpu_pin(json_string_value(json_object_get(machine, "default-cpu-type")), binary->cpu, sizeof(binary->cpu));
}

static void tell(json_t **ret_about, const struct vm_binary *binary, const char *target, const json_t *machines)
{
	const json_t *machine;
	size_t i;

	if (!ret_about)
		return;
	json_t *names = json_array();
	json_array_foreach(machines, i, machine)
		json_array_append(names, json_object_get(machine, "name"));
	*ret_about = json_pack("{s:s, s:s, s:o}", "package", binary->package, "target", target, "machines", names);
}

static void ask(struct vm_binary *binary, const char *target, struct qmp *q, uint64_t deadline, json_t **ret_about,
		struct reasons *reasons)
{
	char error[QMP_ERROR_MAX];
	json_t *version = qmp_command(q, "query-version", NULL, deadline, error);
	json_t *arch = qmp_command(q, "query-target", NULL, deadline, error);
	json_t *machines = qmp_command(q, "query-machines", NULL, deadline, error);
	const char *name = json_string_value(json_object_get(arch, "arch"));

	if (!version || !name || !machines) {
		reasons_add(reasons, BLOCKER_BINARY_NO_QEMU, "%s did not answer: %s", binary->path, error);
	} else {
		take_version(binary, version);
		tell(ret_about, binary, name, machines);
		if (strcmp(name, target) != 0)
			reasons_add(reasons, BLOCKER_BINARY_TARGET, "%s emulates %s, but the guest is %s", binary->path,
				    name, target);
		else if (!find_machine(machines, vm.machine))
			reasons_add(reasons, BLOCKER_MACHINE_TYPE, "%s (QEMU %s) does not know the machine type %s",
				    binary->path, binary->version, vm.machine);
		else
			check_guest(binary, target, find_machine(machines, vm.machine), reasons);
	}
	json_decref(version);
	json_decref(arch);
	json_decref(machines);
}

/* Its own message names but the first that it has not found. */
static bool lacks_something(const struct vm_binary *binary, struct reasons *reasons)
{
	needs_modules(binary, reasons);
	return reasons_any(reasons) || (binary->start.how != START_COMMAND && needs_libraries(binary, reasons));
}

static void converse(struct vm_binary *binary, const char *target, struct child *child, json_t **ret_about,
		     struct reasons *reasons)
{
	uint64_t deadline = qmp_in_ms(PROBE_MS);
	struct qmp q = { .fd = child->qmp };
	char text[400];
	static char answer[ANSWER_BYTES + 1]; /* the service thread's alone */

	if (!shim_answered(child->answer, deadline, answer)) {
		if (lacks_something(binary, reasons))
			return;
		first_error(child->errors, text, sizeof(text));
		reasons_add(reasons, BLOCKER_BINARY_NO_SHIM, "%s does not %s libcprshim.so%s%s%s", binary->path,
			    binary->start.how == START_COMMAND
				    ? "end in a QEMU, with its environment and descriptors kept, that starts with"
				    : "start as a QEMU with",
			    *text ? ": " : "", text, confined_hint(text));
		return;
	}
	judge_answer(binary, child->pid, answer, reasons);
	if (reasons_any(reasons))
		return;
	if (qmp_handshake(&q, deadline)) {
		first_error(child->errors, text, sizeof(text));
		if (!lacks_something(binary, reasons))
			reasons_add(reasons, BLOCKER_BINARY_NO_QEMU, "%s does not answer as a QEMU%s%s", binary->path,
				    *text ? ": " : "", text);
	} else {
		ask(binary, target, &q, deadline, ret_about, reasons);
	}
	qmp_release(&q);
}

/**
 * probe_run() - start a binary, ask it what it is, and end it
 * @binary:  how it is started; version and package are filled in, and the path that a command leads to
 * @target:  what the guest is, as query-target says it
 * @ret_about: where it answers: "package", "target" and "machines", a new reference; or NULL
 * @reasons: why it cannot be used
 *
 * Takes as long as a QEMU takes to start, while the guest runs.
 *
 * Return: 0, or a negative errno where it could not be tried; that is a reason too.
 */
int probe_run(struct vm_binary *binary, const char *target, json_t **ret_about, struct reasons *reasons)
{
	struct child child = { .qmp = -1, .answer = -1, .errors = slots_memfd("cprshim-probe") };
	int pair[2] = { -1, -1 }, pipe[2] = { -1, -1 };
	int rc = child.errors < 0 ? child.errors : 0;
	char variable[32];

	if (!is_named(binary)) {
		slots_close(child.errors);
		reasons_add(reasons, BLOCKER_BINARY_NAME,
			    "%s is not named as QEMU is, and nor is this VM's process (%s)", binary->path, vm.argv[0]);
		return -EINVAL;
	}
	snprintf(variable, sizeof(variable), "CPRSHIM_PROBE=%d", CHILD_ANSWER);
	if (!rc && (real(socketpair)(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) || real(pipe2)(pipe, O_CLOEXEC)))
		rc = -errno;
	for (int i = 0; i < 2; i++) {
		pair[i] = pair[i] < 0 ? -1 : slots_move(pair[i]);
		pipe[i] = pipe[i] < 0 ? -1 : slots_move(pipe[i]);
	}
	if (!rc)
		rc = probe_spawn(binary, variable, pair[1], pipe[1], child.errors, &child.pid);
	slots_close(pair[1]);
	slots_close(pipe[1]);
	child.qmp = pair[0];
	child.answer = pipe[0];
	if (rc) {
		reasons_add(reasons, BLOCKER_PROBE_FAILED, "%s cannot be started: %s%s", binary->path, strerror(-rc),
			    confined_hint(strerror(-rc)));
	} else {
		converse(binary, target, &child, ret_about, reasons);
		kill(child.pid, SIGKILL);
		while (waitpid(child.pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	slots_close(child.qmp);
	slots_close(child.answer);
	slots_close(child.errors);
	return rc;
}
