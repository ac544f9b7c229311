/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* elfread.h - which build of a program or library a file is. */
#ifndef CPRSHIM_CTL_ELFREAD_H
#define CPRSHIM_CTL_ELFREAD_H

/* The longest build id that is told apart, in bytes; ld makes 20 (SHA-1). */
#define ELFREAD_ID 32

/**
 * struct elfread_version - what a QEMU says that it is
 * @version: such as "7.2.22"; any text
 * @package: the version's suffix, such as "Debian 1:7.2+dfsg-7"; "" where it has none; any text
 */
struct elfread_version {
	char version[64];
	char package[192];
};

int elfread_open(const char *path);
int elfread_build_id(int fd, char ret_hex[2 * ELFREAD_ID + 1]);
int elfread_version(int fd, struct elfread_version *ret);

#endif
