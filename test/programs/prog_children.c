/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* prog_children.c - children of every make close what they inherited; the parent's table does not change. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

#define STACK_SIZE (256 * 1024)

static void kept(const char *what, pid_t child)
{
	int status = 0;

	if (waitpid(child, &status, 0) != child)
		status = -1;
	program_say(what, status);
	program_agree(what);
}

/* As net/tap.c:launch_script() does before it runs the ifup script. */
static int close_all(void *unused)
{
	(void)unused;
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	close_range(3, ~0U, 0);
	int fd = open("/dev/null", O_RDONLY);
	return fd == 3 && dup2(fd, 700) == 700 && fclose(fdopen(fd, "r")) == 0 ? 0 : 1;
}

static void forked(void)
{
	pid_t child = fork();

	if (!child)
		_exit(close_all(NULL));
	kept("fork", child);
}

/* async-teardown and what libc does for posix_spawn: a child that runs in our memory, with descriptors of its own. */
static void cloned(int flags, const char *what)
{
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	kept(what, clone(close_all, stack + STACK_SIZE, flags | SIGCHLD, NULL));
	munmap(stack, STACK_SIZE);
}

static void vforked(void)
{
	/* What a child of vfork() may not do is what is tried here. */
	pid_t child = vfork(); /* NOLINT */

	if (!child) { /* NOLINTBEGIN */
		close(3);
		dup2(1, 50);
		closefrom(3);
		_exit(0);
	} /* NOLINTEND */
	kept("vfork", child);
}

static void spawned(void)
{
	posix_spawn_file_actions_t actions;
	char *const argv[] = { (char *)"sh", (char *)"-c", (char *)"exec 3>&-; exit 7", NULL };
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclose(&actions, 3);
	posix_spawn_file_actions_adddup2(&actions, 1, 60);
	posix_spawn_file_actions_addopen(&actions, 61, "/dev/null", O_RDONLY, 0);
	program_say("posix_spawn", posix_spawnp(&child, "sh", &actions, NULL, argv, environ));
	posix_spawn_file_actions_destroy(&actions);
	kept("spawned", child);
}

/* What a child is told of the shim. */
static void environment(void)
{
	program_say("system",
		    system("printf '%s\\n' \"LD_PRELOAD=${LD_PRELOAD-(unset)}\"; env | grep -c ^CPRSHIM_STATE="));
	program_agree("system");
	FILE *f = popen("grep -c cprshim /proc/self/maps", "r");
	char line[64] = "";
	program_say("popen", f && fgets(line, sizeof(line), f) ? atoi(line) : -1);
	program_say("pclose", pclose(f));
	program_agree("popen");
}

int main(void)
{
	program_start();
	for (int i = 0; i < 20; i++)
		open("/dev/null", O_RDWR);
	forked();
	cloned(0, "clone");
	cloned(CLONE_VM, "clone in our memory");
	cloned(CLONE_VM | CLONE_VFORK, "clone as vfork does");
	vforked();
	spawned();
	environment();
	return program_end();
}
