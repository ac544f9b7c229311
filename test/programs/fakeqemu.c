/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QEMU that comes up and then breaks, for test/recover.bats.
 *
 * Beside it lie two files: "real", with the path of a QEMU, and "mode", with what it is to do. Asked for no machine, as
 * the probe of an update does, it is that QEMU; else it breaks in the way that "mode" names.
 */
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void read_beside(const char *name, char ret[PATH_MAX])
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[len > 0 ? len : 0] = '\0';
	char *slash = strrchr(path, '/');
	if (!slash || (size_t)(slash - path) + strlen(name) + 2 > sizeof(path))
		exit(99);
	strcpy(slash + 1, name);
	FILE *file = fopen(path, "r");
	if (!file || !fgets(ret, PATH_MAX, file))
		exit(98);
	ret[strcspn(ret, "\n")] = '\0';
	fclose(file);
}

static int *volatile nowhere = NULL;

static void crash(void)
{
	*nowhere = 1; /* NOLINT: the fault that is asked for */
}

/* More stack than there is; called through a pointer that may change, so that no compiler makes a loop of it. */
static int overflow(int depth);
static int (*volatile again)(int) = overflow;

static int overflow(int depth)
{
	volatile char room[65536];

	room[0] = (char)depth;
	return again(depth + 1) + room[0];
}

static void *break_in_thread(void *mode)
{
	if (!strcmp(mode, "thread-crash"))
		crash();
	else if (!strcmp(mode, "thread-overflow"))
		overflow(0);
	else if (!strcmp(mode, "thread-exit"))
		exit(5);
	else
		abort();
	return NULL;
}

/* Before the shim's entry, which comes in place of libc's: nothing in this process can go back from here. */
static void break_early(int argc, char **argv, char **envp)
{
	static char mode[PATH_MAX];

	(void)argc;
	(void)argv;
	while (*envp && strncmp(*envp, "CPRSHIM_STATE=", 14))
		envp++;
	if (!*envp)
		return;
	read_beside("mode", mode);
	if (!strcmp(mode, "early-exit"))
		_exit(127);
	if (!strcmp(mode, "early-crash"))
		crash();
	while (!strcmp(mode, "early-hang"))
		pause();
}

/* The loader runs these before any library's constructors. */
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **, char **) = break_early;

int main(int argc, char **argv)
{
	static char real[PATH_MAX], mode[PATH_MAX];
	pthread_t thread;

	read_beside("real", real);
	read_beside("mode", mode);
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "-machine") && !strcmp(argv[i + 1], "none")) {
			execv(real, argv);
			return 97;
		}
	fprintf(stderr, "fakeqemu: breaks by %s\n", mode);
	if (!strcmp(mode, "exit"))
		exit(4);
	if (!strcmp(mode, "quick"))
		_exit(6);
	if (!strcmp(mode, "return"))
		return 0;
	if (!strcmp(mode, "crash"))
		crash();
	if (!strcmp(mode, "overflow"))
		return overflow(0);
	if (!strcmp(mode, "abort"))
		abort();
	if (!strcmp(mode, "kill"))
		raise(SIGKILL);
	if (!strncmp(mode, "thread-", 7))
		pthread_create(&thread, NULL, break_in_thread, mode);
	for (;;)
		pause();
}
