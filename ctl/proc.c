/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* proc.c - what the kernel says about a process. Name and environment are the process's own words: bounded. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A VMM's environment is a few KiB; what lies beyond is not looked at. */
#define ENVIRONMENT_MAX (256 * 1024)

/**
 * proc_read_file() - read a file of a process's directory in /proc
 * @pid:     the process
 * @name:    of the file in there
 * @ret_buf: what is in it, with a '\0' behind
 * @size:    of @ret_buf
 *
 * Return: bytes read, at most @size - 1; or negative errno.
 */
ssize_t proc_read_file(pid_t pid, const char *name, char *ret_buf, size_t size)
{
	char path[64];
	size_t used = 0;
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (used < size - 1) {
		n = read(fd, ret_buf + used, size - 1 - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	if (n < 0)
		n = -errno;
	close(fd);
	ret_buf[used] = '\0';
	return n < 0 ? n : (ssize_t)used;
}

/* Field 22 of /proc/PID/stat (proc(5)). The second, the name, is in brackets and may be anything. Return: 0 or -errno. */
static int read_started(pid_t pid, unsigned long long *ret)
{
	char buf[1024];
	ssize_t n = proc_read_file(pid, "stat", buf, sizeof(buf));
	const char *end = n < 0 ? NULL : strrchr(buf, ')');

	if (n < 0)
		return (int)n;
	return end && sscanf(end, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			     ret) == 1
		       ? 0
		       : -EPROTO;
}

/**
 * proc_identify() - who a process is
 * @pid:    the process
 * @ret_id: the answer
 *
 * Return: 0, or negative errno, -ENOENT where there is no such process.
 */
int proc_identify(pid_t pid, struct proc_id *ret_id)
{
	char buf[8192];
	struct proc_id id = { 0 };
	ssize_t n = proc_read_file(pid, "status", buf, sizeof(buf));
	char *uid, *inner;
	int err = n < 0 ? (int)n : read_started(pid, &id.started);

	if (err)
		return err;
	/* the kernel escapes a newline in the name, so a line is never the name's doing */
	uid = strstr(buf, "\nUid:\t");
	inner = strstr(buf, "\nNSpid:\t");
	if (!uid || sscanf(uid, "\nUid:\t%*u\t%u", &id.uid) != 1)
		return -EPROTO;
	/* a process may well have taken its name away */
	if (sscanf(buf, "Name:\t%63[^\n]", id.comm) != 1)
		id.comm[0] = '\0';
	id.inner_pid = pid;
	if (inner) {
		/* one number for each PID namespace, its own comes last */
		char *end = strchr(inner + 1, '\n');
		if (!end)
			return -EPROTO;
		*end = '\0';
		id.inner_pid = (pid_t)strtol(strrchr(inner + 1, '\t') + 1, NULL, 10);
	}
	*ret_id = id;
	return 0;
}

/**
 * proc_exe() - path of the file that a process runs
 * @pid:      the process
 * @ret_path: the path; " (deleted)" stands behind it where the file is gone or was replaced
 *
 * Return: 0, or negative errno.
 */
int proc_exe(pid_t pid, char ret_path[PATH_MAX])
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	n = readlink(link, ret_path, PATH_MAX - 1);
	if (n < 0)
		return -errno;
	ret_path[n] = '\0';
	return 0;
}

/**
 * proc_environment() - a variable of the environment that a process was started with
 * @pid:       the process
 * @name:      the variable
 * @ret_value: its value
 *
 * Return: 0, -ENOENT where it is not set, or negative errno.
 */
int proc_environment(pid_t pid, const char *name, char ret_value[PATH_MAX])
{
	char *buf = malloc(ENVIRONMENT_MAX);
	size_t len = strlen(name);
	int err = -ENOENT;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	n = proc_read_file(pid, "environ", buf, ENVIRONMENT_MAX);
	if (n < 0)
		err = (int)n;
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(buf + at) + 1) {
		const char *value;

		if (strncmp(buf + at, name, len) || buf[at + (ssize_t)len] != '=')
			continue;
		value = buf + at + len + 1;
		if (strlen(value) >= PATH_MAX) {
			err = -ENAMETOOLONG;
			break;
		}
		strcpy(ret_value, value);
		err = 0;
		break;
	}
	free(buf);
	return err;
}

/**
 * proc_absolute() - a path seen from the working directory; links stay as they are
 * @path:     the path
 * @ret_path: the absolute path, for free()
 *
 * Return: 0, or negative errno.
 */
int proc_absolute(const char *path, char **ret_path)
{
	char *joined;

	if (*path == '/') {
		joined = strdup(path);
		if (!joined)
			return -ENOMEM;
	} else {
		char cwd[PATH_MAX];

		if (!getcwd(cwd, sizeof(cwd)))
			return -errno;
		if (asprintf(&joined, "%s/%s", cwd, path) < 0)
			return -ENOMEM;
	}
	*ret_path = joined;
	return 0;
}

/**
 * proc_find_program() - find a program as the shell does
 * @name:     a path, or a name to be looked for in $PATH
 * @ret_path: its absolute path, for free()
 *
 * Return: 0, or negative errno, -ENOENT where there is none.
 */
int proc_find_program(const char *name, char **ret_path)
{
	const char *dirs = getenv("PATH");

	if (strchr(name, '/'))
		return proc_absolute(name, ret_path);
	if (!dirs)
		dirs = "/usr/local/bin:/usr/bin:/bin";
	for (;;) {
		int len = (int)strcspn(dirs, ":");
		char path[PATH_MAX];
		struct stat st;
		int n;

		/* an empty entry is the working directory */
		n = snprintf(path, sizeof(path), "%.*s/%s", len ? len : 1, len ? dirs : ".", name);
		if (n < (int)sizeof(path) && !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK))
			return proc_absolute(path, ret_path);
		if (!dirs[len])
			return -ENOENT;
		dirs += len + 1;
	}
}
