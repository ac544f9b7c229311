/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* version.c - QEMU's versions, as numbers; see version.h. */
#include "version.h"

#include <stdio.h>

/* Those whose source was read */
#define FIRST_KNOWN 702
#define LAST_KNOWN  1199

/** version_number() - "7.2.22" is 702; 0 where it is no version */
int version_number(const char *version)
{
	int major = 0, minor = 0;

	return sscanf(version, "%d.%d", &major, &minor) == 2 ? 100 * major + minor : 0;
}

/** version_is_known() - may functions of that QEMU's be called, whose arguments it does not export? */
bool version_is_known(const char *version)
{
	int number = version_number(version);

	return number >= FIRST_KNOWN && number <= LAST_KNOWN;
}
