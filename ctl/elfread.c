/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* elfread.c - which build of a program or library a file is: it is read, and not run. */
#include "elfread.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../state/elffile.h"

/* What QEMU prints for -version begins with this (softmmu/vl.c:version, system/vl.c since 9.0); its number follows. */
#define MARK "QEMU emulator version "
/* Of a program; Debian's have 30 MiB. */
#define FILE_MAX (256l << 20)
#define STEP	 (1l << 20)
/* More than mark, version and suffix take together; steps overlap by so much. */
#define LINE_BYTES 512

/**
 * elfread_open() - open a file to be read
 * @path: the file; a VMM may have named it
 *
 * Nothing but a regular file is opened: an open of a device has effects.
 *
 * Return: a descriptor, or negative errno.
 */
int elfread_open(const char *path)
{
	char link[64];
	struct stat st;
	int fd, by_path = open(path, O_PATH | O_CLOEXEC);

	if (by_path < 0)
		return -errno;
	if (fstat(by_path, &st) || !S_ISREG(st.st_mode)) {
		close(by_path);
		return -EINVAL;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", by_path);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		fd = -errno;
	close(by_path);
	return fd;
}

/**
 * elfread_build_id() - the build id that the linker gave a file
 * @fd:	     the file
 * @ret_hex: the id, as readelf -n prints it
 *
 * Return: 0, or -ENOENT where it has none.
 */
int elfread_build_id(int fd, char ret_hex[2 * ELFREAD_ID + 1])
{
	uint8_t head[ELFFILE_BYTES];
	ssize_t n = pread(fd, head, sizeof(head), 0);
	const uint8_t *id;
	size_t len;

	if (n < 0 || elffile_build_id(head, (size_t)n, &id, &len) || len > ELFREAD_ID)
		return -ENOENT;
	for (size_t i = 0; i < len; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", id[i]);
	return 0;
}

/* Return: is this a whole line, and with a version? */
static bool take_line(const char *text, size_t len, struct elfread_version *ret)
{
	const char *end = memchr(text, '\n', len < LINE_BYTES ? len : LINE_BYTES);
	char line[LINE_BYTES];

	if (!end || !isdigit((unsigned char)*text))
		return false;
	snprintf(line, sizeof(line), "%.*s", (int)(end - text), text);
	ret->package[0] = '\0';
	return sscanf(line, "%63[^ ] (%191[^)]", ret->version, ret->package) > 0;
}

static bool find_version(const char *buf, size_t len, struct elfread_version *ret)
{
	const char *at = buf;

	while ((at = memmem(at, len - (size_t)(at - buf), MARK, strlen(MARK)))) {
		at += strlen(MARK);
		if (take_line(at, len - (size_t)(at - buf), ret))
			return true;
	}
	return false;
}

/**
 * elfread_version() - the version of a QEMU, from the text that its binary would print
 * @fd:	 the file
 * @ret: its version
 *
 * Return: 0, -ENOENT where there is no such text, or -ENOMEM.
 */
int elfread_version(int fd, struct elfread_version *ret)
{
	char *buf = malloc(STEP);
	int err = -ENOENT;

	if (!buf)
		return -ENOMEM;
	for (off_t at = 0; err && at < FILE_MAX; at += STEP - LINE_BYTES) {
		ssize_t n = pread(fd, buf, STEP, at);

		if (n <= 0)
			break;
		if (find_version(buf, (size_t)n, ret))
			err = 0;
	}
	free(buf);
	return err;
}
