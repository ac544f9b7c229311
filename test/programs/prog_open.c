/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * prog_open.c - descriptors that a path is opened for, by every name that libc has for it. Runs in a directory of its
 * own.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

static void got(const char *origin, int fd, const char *detail)
{
	program_say(origin, fd);
	program_expect(fd, "file", origin, detail);
}

/* Not all at once: each number is used by several calls. */
static void done(int fd)
{
	program_say("close", close(fd));
	if (program_recorded(fd))
		program_fail("%d is recorded after its close", fd);
}

static void plain(void)
{
	struct stat st;
	int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0640);

	got("open", fd, "a");
	program_say("mode", fstat(fd, &st) ? -1 : (long)st.st_mode);
	int dir = open(".", O_RDONLY | O_DIRECTORY);
	got("open", dir, ".");
	int fd64 = open64("a", O_RDONLY);
	got("open64", fd64, "a");
	int at = openat(dir, "b", O_WRONLY | O_CREAT, 0600);
	got("openat", at, "b");
	int at64 = openat64(dir, "b", O_RDONLY | O_CLOEXEC);
	got("openat64", at64, "b");
	int unnamed = open(".", O_TMPFILE | O_RDWR, 0604);
	got("open", unnamed, ".");
	program_say("mode", fstat(unnamed, &st) ? -1 : (long)st.st_mode);
	program_agree("open");
	done(fd64);
	done(at);
	done(at64);
	done(unnamed);
	done(dir);
	done(fd);
}

static void fortified(void)
{
	int fds[] = { __open_2("a", O_RDONLY), __open64_2("a", O_RDWR), __openat_2(AT_FDCWD, "a", O_RDONLY),
		      __openat64_2(AT_FDCWD, "a", O_WRONLY) };
	static const char *const names[] = { "__open_2", "__open64_2", "__openat_2", "__openat64_2" };
	volatile int flags = O_RDONLY; /* not known when compiled, so that the header chooses __open_2 */
	int fd;

	for (int i = 0; i < 4; i++)
		got(names[i], fds[i], "a");
	program_agree("fortified");
	for (int i = 0; i < 4; i++)
		done(fds[i]);
	fd = open("a", flags);
	got("__open_2", fd, "a");
	done(fd);
}

static void created(void)
{
	int fd = creat("c", 0600), fd64 = creat64("c", 0600);
	char name[] = "m.XXXXXX", name64[] = "n.XXXXXX", oname[] = "o.XXXXXX", oname64[] = "p.XXXXXX";

	got("creat", fd, "c");
	got("creat64", fd64, "c");
	int m = mkstemp(name), n = mkstemp64(name64), o = mkostemp(oname, O_APPEND), p = mkostemp64(oname64, O_CLOEXEC);
	got("mkstemp", m, name);
	got("mkstemp64", n, name64);
	got("mkostemp", o, oname);
	got("mkostemp64", p, oname64);
	program_say("flags", fcntl(o, F_GETFL));
	program_say("cloexec", fcntl(p, F_GETFD));
	program_agree("created");
	for (int i = p; i >= fd; i--)
		done(i);
	program_say("unlink", unlink(name));
	program_say("unlink", unlink(name));
}

static void stream(const char *origin, FILE *f, const char *detail)
{
	if (!f) {
		program_say(origin, -1);
		return;
	}
	got(origin, fileno(f), detail);
}

static void streams(void)
{
	FILE *f = fopen("s", "w+e"), *g = fopen64("s", "a");
	char text[16];

	stream("fopen", f, "s");
	stream("fopen64", g, "s");
	program_say("fputs", fputs("hello\n", g));
	f = freopen("a", "r", f);
	stream("freopen", f, "a");
	g = freopen64("b", "r+", g);
	stream("freopen64", g, "b");
	program_agree("streams");
	/* Without a path the stream keeps its file. */
	g = freopen(NULL, "r", g);
	program_say("freopen without a path", g ? fileno(g) : -1);
	program_agree("freopen without a path");
	stream("freopen", freopen("nowhere/x", "r", g), NULL);
	program_agree("freopen of what is not there");
	program_say("fclose", fclose(f));
	int fd = open("s", O_RDONLY);
	f = fdopen(fd, "r");
	program_say("fgets", fgets(text, sizeof(text), f) ? (long)strlen(text) : -1);
	program_agree("fdopen");
	program_say("fclose", fclose(f));
	/* A stream without a descriptor: errno stays, as nothing failed. */
	f = fmemopen(text, sizeof(text), "r");
	errno = EXDEV;
	program_say("fclose of a memory stream", fclose(f));
	program_say("errno", errno);
	program_agree("fclose");
}

static void directories(void)
{
	DIR *d = opendir(".");

	program_say("opendir", dirfd(d));
	program_expect(dirfd(d), "directory", "opendir", ".");
	DIR *e = fdopendir(open(".", O_RDONLY | O_DIRECTORY));
	program_say("fdopendir", dirfd(e));
	program_agree("directories");
	program_say("closedir", closedir(d));
	program_say("closedir", closedir(e));
	program_agree("closedir");
}

/* A module that nobody but us can see the names of; its constructor leaves two files open. */
static void module(const char *path)
{
	int next = dup(1);

	close(next);
	void *handle = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;

	if (path && !handle)
		program_fail("%s", dlerror());
	if (!handle)
		return;
	program_expect(next, "file", "open", "/dev/zero");
	program_expect(next + 1, "file", "open", "/dev/full");
	program_agree("a module");
	done(next);
	done(next + 1);
}

static void failing(void)
{
	program_say("open", open("nowhere", O_RDONLY));
	program_say("open", open("a", O_RDONLY | O_CREAT | O_EXCL, 0600));
	program_say("open", open((const char *)16, O_RDONLY));
	program_say("openat", openat(-7, "a", O_RDONLY));
	program_say("open64", open64("a/b", O_RDONLY));
	program_say("creat", creat(".", 0600));
	program_say("fopen", fopen("nowhere", "r") ? 0 : -1);
	program_say("fopen", fopen("a", "?") ? 0 : -1);
	program_say("opendir", opendir("a") ? 0 : -1);
	program_say("close", close(-1));
	program_say("close", close(5000));
	program_say("unlink", unlink("nowhere"));
	char bad[] = "short";
	program_say("mkstemp", mkstemp(bad));
	program_agree("failing");
}

int main(void)
{
	program_start();
	umask(022);
	plain();
	fortified();
	created();
	streams();
	directories();
	module(getenv("MODULE"));
	failing();
	return program_end();
}
