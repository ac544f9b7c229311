/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * prog_raw.c - what libc opens, duplicates and closes on its own behalf, by calls that no hook stands for or whose inside
 * none sees: with CPRSHIM_RAW=on the table has it all, while it is open and afterwards.
 *
 * Sockets are not among it (shim/raw.c).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <iconv.h>
#include <mntent.h>
#include <netdb.h>
#include <pthread.h>
#include <pty.h>
#include <pwd.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>
#include <wordexp.h>

#include "program.h"

#define CHILDREN 50

static void commands(void)
{
	FILE *from = popen("echo one", "r"), *to = popen("cat >/dev/null", "w");
	char line[16] = "";

	program_say("popen", from && to ? 0 : -1);
	program_expect(fileno(from), "pipe", "pipe2", NULL);
	program_agree("popen");
	program_say("read", fgets(line, sizeof(line), from) ? (long)strlen(line) : -1);
	program_say("pclose", pclose(to));
	program_say("pclose", pclose(from));
	program_agree("pclose");
}

static void temporary(void)
{
	char name[] = "raw.XXXXXX";
	FILE *stream = tmpfile();
	int fd = mkstemp(name);

	program_say("tmpfile", stream ? 0 : -1);
	program_say("mkstemp", fd < 0 ? -1 : 0);
	program_expect(fileno(stream), "file", "open64", NULL);
	program_expect(fd, "file", "mkstemp", name);
	program_agree("tmpfile");
	program_say("fclose", fclose(stream));
	program_say("close", close(fd));
	program_say("unlink", unlink(name));
	program_agree("fclose");
}

static void streams(void)
{
	FILE *stream = fopen("/dev/null", "re"), *mounts = setmntent("/proc/self/mounts", "r");
	DIR *dir = opendir("/");

	program_agree("fopen");
	program_say("getmntent", getmntent(mounts) ? 0 : -1);
	program_say("readdir", readdir(dir) ? 0 : -1);
	stream = freopen("/dev/zero", "re", stream);
	program_agree("freopen");
	/* A stream that was not opened by a path is closed by a call of libc's own. */
	FILE *second = fdopen(dup(fileno(stream)), "r");
	program_agree("fdopen");
	program_say("fclose", fclose(second));
	program_say("fclose", fclose(stream));
	program_say("closedir", closedir(dir));
	program_say("endmntent", endmntent(mounts));
	program_agree("endmntent");
}

static void terminals(void)
{
	int master, slave, other = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	program_say("posix_openpt", other < 0 ? -1 : 0);
	program_say("openpty", openpty(&master, &slave, NULL, NULL, NULL));
	program_agree("openpty");
	program_say("close", close(master) | close(slave) | close(other));
	program_agree("close");
}

static void shared(void)
{
	char name[64];

	snprintf(name, sizeof(name), "/cprshim-raw-%d", (int)getpid());
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	program_say("shm_open", fd < 0 ? -1 : 0);
	program_expect(fd, "file", "open64", NULL);
	sem_t *semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
	program_say("sem_open", semaphore == SEM_FAILED ? -1 : 0);
	program_agree("shm_open");
	program_say("sem_close", sem_close(semaphore));
	program_say("unlink", shm_unlink(name) | sem_unlink(name));
	program_say("close", close(fd));
	program_agree("sem_close");
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path;
	(void)st;
	(void)type;
	(void)at;
	return 0;
}

/* What is open while they run only. */
static void lookups(void)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICSERV }, *found = NULL;
	wordexp_t words;
	glob_t paths;

	program_say("getaddrinfo", getaddrinfo("localhost", "1", &hints, &found));
	freeaddrinfo(found);
	program_say("getpwnam", getpwnam("root") ? 0 : -1);
	program_say("glob", glob("/et[c]/*", 0, NULL, &paths));
	globfree(&paths);
	program_say("wordexp", wordexp("$(echo one two)", &words, 0));
	wordfree(&words);
	program_say("nftw", nftw("/proc/self/fdinfo", visit, 4, FTW_CHDIR));
	iconv_t conversion = iconv_open("UTF-16", "ISO-8859-15");
	program_say("iconv_open", conversion == (iconv_t)-1 ? -1 : iconv_close(conversion));
	program_agree("lookups");
	getutent();
	program_agree("getutent");
	endutent();
	program_agree("endutent");
}

/* libc's own mappings, big enough for one each. */
static void memory(void)
{
	char *at = malloc(4 << 20);

	memset(at, 1, 4 << 20);
	at = realloc(at, 16 << 20);
	program_say("realloc", at && at[(4 << 20) - 1] == 1 ? 0 : -1);
	free(at);
	program_agree("realloc");
}

/* Their calls are made in this memory, by libc, on what the parent's table has. */
static void spawned(void)
{
	char *const argv[] = { (char *)"true", NULL };
	posix_spawn_file_actions_t actions;
	int fd = open("/dev/null", O_RDONLY), status = -1;
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 60, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, 1, fd);
	posix_spawn_file_actions_addclose(&actions, fd);
	for (int i = 0; i < CHILDREN; i++) {
		if (posix_spawnp(&child, "true", &actions, NULL, argv, environ) ||
		    waitpid(child, &status, 0) != child || status)
			program_fail("posix_spawn: %s, status %d", strerrorname_np(errno), status);
	}
	posix_spawn_file_actions_destroy(&actions);
	program_expect(fd, "file", "open", "/dev/null");
	program_agree("posix_spawn");
	program_say("close", close(fd));
}

/* None of these is a cancellation point; of a stream's calls, those of one that was opened so (fopen(3), mode c). */
static void *uncancelled(void *ret)
{
	pthread_cancel(pthread_self());
	DIR *dir = opendir("/");
	*(int *)ret = dir && !closedir(dir);
	FILE *stream = fopen("/dev/null", "rce");
	*(int *)ret += stream && !fclose(stream);
	pthread_testcancel();
	return NULL;
}

static void cancelled(void)
{
	void *result = NULL;
	pthread_t thread;
	int done = 0;

	pthread_create(&thread, NULL, uncancelled, &done);
	pthread_join(thread, &result);
	program_say("done before the cancellation", done);
	program_say("cancelled", result == PTHREAD_CANCELED);
	program_agree("cancelled");
}

static void failures(void)
{
	FILE *none = fopen("/none/such", "r");

	program_say("fopen", none ? 0 : -1);
	program_say("opendir", opendir("/none/such") ? 0 : -1);
	program_say("shm_open", shm_open("/none-such-there-is", O_RDONLY, 0));
	program_say("fdopen", fdopen(-1, "r") ? 0 : -1);
	program_say("freopen", freopen("/none/such", "r", stdin) ? 0 : -1);
	program_agree("failures");
}

int main(void)
{
	program_start();
	spawned();
	commands();
	temporary();
	streams();
	terminals();
	shared();
	lookups();
	memory();
	cancelled();
	failures();
	return program_end();
}
