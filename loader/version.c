/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* version.c - QEMU's versions, as numbers; see version.h. */
#include "version.h"

#include <stdio.h>

/** version_number() - "7.2.22" is 702; 0 where it is no version */
int version_number(const char *version)
{
	int major = 0, minor = 0;

	return sscanf(version, "%d.%d", &major, &minor) == 2 ? 100 * major + minor : 0;
}
