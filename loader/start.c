/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* start.c - how a QEMU is started; see start.h. */
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shim/real.h"
#include "../state/elffile.h"
#include "argv.h"
#include "pins.h"
#include "vm.h"

#define MAPS_BYTES    (1u << 20)
#define CMDLINE_BYTES (4u << 20)

static uintptr_t main_address;

/** start_note_main() - before all else: where the program's main() is */
void start_note_main(const void *main_function)
{
	main_address = (uintptr_t)main_function;
}

/* A file of /proc, with a zero byte behind; to be freed. NULL where it cannot be read or is longer. */
static char *read_proc(const char *path, size_t max, size_t *ret_len)
{
	int fd = real(open)(path, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(max);
	ssize_t n = 0;
	size_t len = 0;

	while (text && len < max - 1 && (n = read(fd, text + len, max - 1 - len)) > 0)
		len += (size_t)n;
	if (fd >= 0)
		real(close)(fd);
	if (!text || n) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	*ret_len = len;
	return text;
}

static bool read_exe(char *ret, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", ret, size - 1);

	ret[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* The file that main() was mapped from; " (deleted)" stands behind it where that is so. */
static bool find_program(char *ret, size_t size)
{
	size_t len;
	char *maps = read_proc("/proc/self/maps", MAPS_BYTES, &len), *rest = NULL;
	bool found = false;

	for (char *line = maps ? strtok_r(maps, "\n", &rest) : NULL; line && !found;
	     line = strtok_r(NULL, "\n", &rest)) {
		uintptr_t from, to;
		char *path = strchr(line, '/');

		found = path && sscanf(line, "%" SCNxPTR "-%" SCNxPTR, &from, &to) == 2 && main_address >= from &&
			main_address < to && (size_t)snprintf(ret, size, "%s", path) < size;
	}
	free(maps);
	return found;
}

/**
 * start_is_vmm() - is this program a QEMU system emulator?
 * @called: its argv[0]
 *
 * By the name it was called by, or its file's. A script of such a name (Debian's qemu-system-i386) is a shell by both.
 */
bool start_is_vmm(const char *called)
{
	char path[PATH_MAX];

	if (argv_names_vmm(called))
		return true;
	if (!read_exe(path, sizeof(path)))
		return false;
	if (elffile_is_loader(path) && !find_program(path, sizeof(path)))
		return false;
	return argv_names_vmm(path);
}

/** start_is_script() - does the kernel start an interpreter for this file? */
bool start_is_script(int fd)
{
	char head[2];

	return pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) && !memcmp(head, "#!", sizeof(head));
}

/**
 * start_open_self() - hold the QEMU that this process runs
 * @ret: fd, path and module_dir are filled in
 *
 * Return: 0 or a negative errno.
 */
int start_open_self(struct vm_binary *ret)
{
	char path[PATH_MAX];

	if (!read_exe(path, sizeof(path)))
		return -errno;
	bool by_loader = elffile_is_loader(path) && find_program(path, sizeof(path));
	int rc = pins_open_binary(ret, by_loader ? path : "/proc/self/exe");
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	return rc;
}

static size_t count(char *const argv[])
{
	size_t n = 0;

	while (argv[n])
		n++;
	return n;
}

/* Strings that end in zero bytes, one after the other; never freed. */
static char **split(char *text, size_t len)
{
	size_t n = 0, i = 0;

	for (size_t at = 0; at < len; at += strlen(text + at) + 1)
		n++;
	char **out = calloc(n + 1, sizeof(*out));
	for (size_t at = 0; out && at < len; at += strlen(text + at) + 1)
		out[i++] = text + at;
	return out;
}

/*
 * The dynamic loader takes what is its own from argv; the kernel still tells it: the loader, its options, the program
 * (or what stands for it), the program's arguments. Paths are made such that they lead there from any directory.
 */
static int learn_loader(struct start *ret, size_t main_argc, const char *exe)
{
	static char loader[PATH_MAX], program[PATH_MAX];
	size_t len;
	char *text = read_proc("/proc/self/cmdline", CMDLINE_BYTES, &len);
	char **all = text ? split(text, len) : NULL;

	if (!all || count(all) <= main_argc || !find_program(program, sizeof(program)))
		return -EIO;
	snprintf(loader, sizeof(loader), "%s", exe);
	ret->how = START_LOADER;
	ret->argv = all;
	ret->program = count(all) - main_argc;
	all[0] = loader;
	all[ret->program] = program;
	all[ret->program + 1] = NULL;
	return 0;
}

/**
 * start_learn() - how was this program started?
 * @ret:  filled in but for the environment
 * @argv: what the kernel or the loader gave main(), before anything is changed of it
 * @own:  how many of these, from the name on, are not the VM's own but were added by a command
 *
 * Return: 0 or a negative errno.
 */
int start_learn(struct start *ret, char *const argv[], size_t own)
{
	char exe[PATH_MAX];
	int rc = 0;

	*ret = (struct start){ .how = START_FILE };
	if (!read_exe(exe, sizeof(exe)))
		return -errno;
	if (elffile_is_loader(exe))
		rc = learn_loader(ret, count(argv), exe);
	if (rc || (own == 1 && !ret->argv))
		return rc;
	size_t before = ret->argv ? count(ret->argv) : 1;
	char **out = calloc(before + own, sizeof(*out));
	if (!out)
		return -ENOMEM;
	memcpy(out, ret->argv ? ret->argv : argv, before * sizeof(*out));
	memcpy(out + before, argv + 1, (own - 1) * sizeof(*out));
	ret->argv = out;
	return 0;
}

/**
 * start_add() - it is given more arguments, before the VM's own
 * @s:	  how it is started
 * @name: argv[0], where it is the file itself
 * @args: the arguments, ended by NULL
 *
 * Return: 0 or -ENOMEM.
 */
int start_add(struct start *s, const char *name, char *const args[])
{
	char *const alone[] = { (char *)name, NULL };
	char **out = argv_with(s->argv ? s->argv : alone, (const char *const *)args);

	if (out)
		s->argv = out;
	return out ? 0 : -ENOMEM;
}

/**
 * start_ends_in() - did a command pass its arguments on as they were, at the end?
 * @argv:    what has come
 * @args:    what the command was given
 * @ret_own: how many come before them
 */
bool start_ends_in(char *const argv[], char *const args[], size_t *ret_own)
{
	size_t n = count(argv), m = count(args);

	if (n <= m)
		return false;
	for (size_t i = 0; i < m; i++)
		if (strcmp(argv[n - m + i], args[i]) != 0)
			return false;
	*ret_own = n - m;
	return true;
}

/**
 * start_argv() - the command line that starts a QEMU
 * @binary: what is started
 * @fd:	    number that its file has in the process that is to do it
 * @name:   argv[0], where it is the file itself
 * @args:   QEMU's arguments
 *
 * Return: an array that is never freed, or NULL where memory ran out.
 */
char **start_argv(const struct vm_binary *binary, int fd, const char *name, const char *const args[])
{
	const struct start *s = &binary->start;
	char *const alone[] = { (char *)name, NULL };
	char **out = argv_with(s->argv ? s->argv : alone, args);

	if (out && s->how == START_FILE)
		out[0] = (char *)name;
	if (out && s->how == START_LOADER && asprintf(&out[s->program], "/proc/self/fd/%d", fd) < 0)
		return NULL;
	return out;
}

/**
 * start_adopt() - how one is started, from the CPR state
 * @ret:   its strings are the state's
 * @state: the state
 * @role:  CPR_START_OLD, CPR_START_NEW or CPR_START_CONFIGURED
 *
 * Return: 0 or -ENOMEM.
 */
int start_adopt(struct start *ret, const struct cprstate *state, uint32_t role)
{
	size_t args = 0, vars = 0;

	*ret = (struct start){ .how = START_FILE };
	for (uint32_t i = 0; i < state->start_count; i++) {
		const struct cpr_start *rec = &state->start[i];
		bool is_var = rec->kind == CPR_START_ENV;
		char ***list = is_var ? &ret->envp : &ret->argv;
		size_t *n = is_var ? &vars : &args;

		if (rec->role != role)
			continue;
		/* As many as there can be: a state has thousands at most. */
		if (!*list)
			*list = calloc(state->start_count + 1, sizeof(**list));
		if (!*list)
			return -ENOMEM;
		if (rec->kind == CPR_START_PROGRAM) {
			ret->how = START_LOADER;
			ret->program = args;
		}
		(*list)[(*n)++] = (char *)rec->text;
	}
	return 0;
}

/** start_added() - QEMU's arguments that a command has put before the VM's, ended by NULL */
char *const *start_added(const struct start *s)
{
	static char *const none[] = { NULL };

	return s->argv ? s->argv + 1 + (s->how == START_LOADER ? s->program : 0) : none;
}

/** start_path() - what is exec'd by its path; NULL: the file by its descriptor */
const char *start_path(const struct vm_binary *binary)
{
	return binary->start.how == START_FILE ? NULL : binary->start.argv[0];
}

/** start_exec() - exec it; returns only where that failed. Async-signal-safe. */
void start_exec(const struct program *p)
{
	if (p->path)
		syscall(SYS_execve, p->path, p->argv, p->envp);
	else
		syscall(SYS_execveat, p->fd, "", p->argv, p->envp, AT_EMPTY_PATH);
}
