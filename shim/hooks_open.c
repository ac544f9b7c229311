/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks_open.c - descriptors that a path is opened for.
 *
 * Each name that libc exports is here: with and without 64, relative to a directory, and the fortified forms that a
 * caller built with -D_FORTIFY_SOURCE uses when it passes no mode.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "firmware.h"
#include "guard.h"
#include "main_call.h"
#include "moved.h"
#include "nocancel.h"
#include "preserved.h"
#include "real.h"
#include "slots.h"
#include "table.h"

/* O_TMPFILE has a mode too (open(2)). */
#define NEEDS_MODE(flags) (((flags)&O_CREAT) || ((flags)&O_TMPFILE) == O_TMPFILE)

#define READ_MODE(mode, flags)                       \
	do {                                         \
		if (NEEDS_MODE(flags)) {             \
			va_list ap;                  \
			va_start(ap, flags);         \
			(mode) = va_arg(ap, mode_t); \
			va_end(ap);                  \
		}                                    \
	} while (0)

/* A character device reads it: nothing is to come from it before the guest runs. */
static bool is_input(const struct preserved *p, int flags)
{
	return p->kind == FDKIND_PIPE ? (flags & O_ACCMODE) != O_WRONLY : (flags & O_ACCMODE) == O_RDONLY;
}

/*
 * In a successor: a file that QEMU writes from the start (a log, a serial port's file) is handed over open, at its
 * offset and with what it holds; opening it anew would truncate it. So are a FIFO, whose other end must not see it
 * closed, and a file that a character device reads.
 */
static int rebind_file(const char *path, int flags)
{
	struct preserved *p = guard_role() == SHIM_SUCCESSOR ? preserved_by_path(path, flags) : NULL;
	int fd = p ? real(fcntl)(p->fd, (flags & O_CLOEXEC) ? F_DUPFD_CLOEXEC : F_DUPFD, 0) : -1;

	if (fd >= 0 && is_input(p, flags) && decoy_place(&p->decoy, p->kind, fd, p->fd)) {
		real(close)(fd);
		fd = -1;
	}
	return fd;
}

/* What would be written beside a running guest belongs to the QEMU that runs it: its logs, pidfile, dumps. */
static bool is_for_nobody(int flags)
{
	return guard_is_beside() && (flags & O_ACCMODE) != O_RDONLY && (flags & (O_CREAT | O_TRUNC));
}

/* What is handed over open, or leads nowhere; negative where it is to be opened as it is asked for. */
static int open_preserved(const char *path, int flags)
{
	bool nobody = is_for_nobody(flags);
	int fd = nobody && guard_rehearses() ? -1 : rebind_file(path, flags);

	if (fd >= 0 || !nobody)
		return fd;
	guard_note_shown();
	return real(open)("/dev/null", O_RDWR | (flags & O_CLOEXEC));
}

static int open_by(__typeof__(&openat64) opening, int dirfd, const char *path, int flags, mode_t mode,
		   enum hook_id origin)
{
	if (!guard_enter())
		return opening(dirfd, path, flags, mode);
	int fd = open_preserved(path, flags);
	if (fd < 0)
		fd = moved_open(path, flags);
	if (fd == -ENOENT)
		fd = opening(dirfd, path, flags, mode);
	if (fd >= 0) {
		table_note_file(fd, origin, path, (unsigned int)flags);
		if ((flags & O_ACCMODE) == O_RDONLY)
			firmware_note(path);
	}
	guard_leave();
	return fd;
}

static int open_common(int dirfd, const char *path, int flags, mode_t mode, enum hook_id origin)
{
	return open_by(real(openat64), dirfd, path, flags, mode, origin);
}

static int kernel_openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	READ_MODE(mode, flags);
	return (int)syscall(SYS_openat, dirfd, path, flags, mode);
}

int nocancel_open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	READ_MODE(mode, flags);
	return open_by(kernel_openat, AT_FDCWD, path, flags, mode, HOOK_open64);
}

SHIM_HOOK int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	READ_MODE(mode, flags);
	return open_common(AT_FDCWD, path, flags, mode, HOOK_open);
}

SHIM_HOOK int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	READ_MODE(mode, flags);
	return open_common(AT_FDCWD, path, flags, mode, HOOK_open64);
}

SHIM_HOOK int openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	READ_MODE(mode, flags);
	return open_common(dirfd, path, flags, mode, HOOK_openat);
}

SHIM_HOOK int openat64(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;

	READ_MODE(mode, flags);
	return open_common(dirfd, path, flags, mode, HOOK_openat64);
}

/* libc ends a program that calls one of these with a flag that needs a mode; so it does here. */
SHIM_HOOK int __open_2(const char *path, int flags)
{
	if (NEEDS_MODE(flags))
		return real(__open_2)(path, flags);
	return open_common(AT_FDCWD, path, flags, 0, HOOK___open_2);
}

SHIM_HOOK int __open64_2(const char *path, int flags)
{
	if (NEEDS_MODE(flags))
		return real(__open64_2)(path, flags);
	return open_common(AT_FDCWD, path, flags, 0, HOOK___open64_2);
}

SHIM_HOOK int __openat_2(int dirfd, const char *path, int flags)
{
	if (NEEDS_MODE(flags))
		return real(__openat_2)(dirfd, path, flags);
	return open_common(dirfd, path, flags, 0, HOOK___openat_2);
}

SHIM_HOOK int __openat64_2(int dirfd, const char *path, int flags)
{
	if (NEEDS_MODE(flags))
		return real(__openat64_2)(dirfd, path, flags);
	return open_common(dirfd, path, flags, 0, HOOK___openat64_2);
}

SHIM_HOOK int creat(const char *path, mode_t mode)
{
	return open_common(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode, HOOK_creat);
}

SHIM_HOOK int creat64(const char *path, mode_t mode)
{
	return open_common(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode, HOOK_creat64);
}

/* open(2) flags that a fopen() mode stands for. */
static int stream_flags(const char *mode)
{
	bool plus = strchr(mode, '+') != NULL;
	int flags = strchr(mode, 'e') ? O_CLOEXEC : 0;

	switch (mode[0]) {
	case 'w':
		return flags | (plus ? O_RDWR : O_WRONLY) | O_CREAT | O_TRUNC;
	case 'a':
		return flags | (plus ? O_RDWR : O_WRONLY) | O_CREAT | O_APPEND;
	default:
		return flags | (plus ? O_RDWR : O_RDONLY);
	}
}

static FILE *stream_open(const char *path, const char *mode, __typeof__(&fopen) real_fopen, enum hook_id origin)
{
	FILE *stream;

	if (guard_role() != SHIM_OFF && main_call_intercept(path))
		return NULL;
	if (!guard_enter())
		return real_fopen(path, mode);
	int fd = open_preserved(path, stream_flags(mode));
	stream = fd >= 0 ? fdopen(fd, mode) : real_fopen(path, mode);
	if (stream) {
		table_note_file(fileno(stream), origin, path, (unsigned int)stream_flags(mode));
		if (mode[0] == 'r')
			firmware_note(path);
	}
	guard_leave();
	return stream;
}

SHIM_HOOK FILE *fopen(const char *path, const char *mode)
{
	return stream_open(path, mode, real(fopen), HOOK_fopen);
}

SHIM_HOOK FILE *fopen64(const char *path, const char *mode)
{
	return stream_open(path, mode, real(fopen64), HOOK_fopen64);
}

static FILE *stream_reopen(const char *path, const char *mode, FILE *stream, __typeof__(&freopen) real_freopen,
			   enum hook_id origin)
{
	/* Without a path the stream keeps its file, and its record (freopen(3)). */
	bool recording = path && guard_enter();

	if (recording)
		table_forget(fileno(stream));
	stream = real_freopen(path, mode, stream);
	if (recording) {
		if (stream)
			table_note_file(fileno(stream), origin, path, (unsigned int)stream_flags(mode));
		guard_leave();
	}
	return stream;
}

SHIM_HOOK FILE *freopen(const char *path, const char *mode, FILE *stream)
{
	return stream_reopen(path, mode, stream, real(freopen), HOOK_freopen);
}

SHIM_HOOK FILE *freopen64(const char *path, const char *mode, FILE *stream)
{
	return stream_reopen(path, mode, stream, real(freopen64), HOOK_freopen64);
}

/*
 * libc closes a stream's descriptor with a system call of its own, which no hook of close() sees. A stream in memory
 * has none, and fileno() sets errno then.
 */
SHIM_HOOK int fclose(FILE *stream)
{
	if (guard_enter()) {
		int saved = errno, fd = fileno(stream);

		errno = saved;
		if (slots_owns(fd)) {
			guard_leave();
			errno = EBADF;
			return EOF;
		}
		table_forget(fd);
		guard_leave();
	}
	return real(fclose)(stream);
}

SHIM_HOOK DIR *opendir(const char *path)
{
	DIR *dir = real(opendir)(path);

	if (dir && guard_enter()) {
		table_note_text(dirfd(dir), FDKIND_DIRECTORY, HOOK_opendir, path);
		guard_leave();
	}
	return dir;
}

SHIM_HOOK int closedir(DIR *dir)
{
	if (guard_enter()) {
		table_forget(dirfd(dir));
		guard_leave();
	}
	return real(closedir)(dir);
}

static int note_temporary(int fd, const char *path, int flags, enum hook_id origin)
{
	if (fd >= 0 && guard_enter()) {
		table_note_file(fd, origin, path, (unsigned int)(flags | O_RDWR | O_CREAT | O_EXCL));
		guard_leave();
	}
	return fd;
}

SHIM_HOOK int mkstemp(char *path)
{
	return note_temporary(real(mkstemp)(path), path, 0, HOOK_mkstemp);
}

SHIM_HOOK int mkstemp64(char *path)
{
	return note_temporary(real(mkstemp64)(path), path, 0, HOOK_mkstemp64);
}

SHIM_HOOK int mkostemp(char *path, int flags)
{
	return note_temporary(real(mkostemp)(path, flags), path, flags, HOOK_mkostemp);
}

SHIM_HOOK int mkostemp64(char *path, int flags)
{
	return note_temporary(real(mkostemp64)(path, flags), path, flags, HOOK_mkostemp64);
}

/* QEMU removes a socket's path before it binds; beside a running guest it is not its own to remove. */
static bool is_to_stay(const char *path)
{
	struct stat st;

	return preserved_is_socket_path(path) || (guard_is_beside() && !lstat(path, &st) && S_ISSOCK(st.st_mode));
}

SHIM_HOOK int unlink(const char *path)
{
	if (guard_role() == SHIM_SUCCESSOR && guard_enter()) {
		bool stays = is_to_stay(path);

		guard_leave();
		if (stays)
			return 0;
	}
	return real(unlink)(path);
}
