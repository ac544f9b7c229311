/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* firmware.c - files that QEMU read when it started; see firmware.h. */
#include "firmware.h"

#include <stdatomic.h>
#include <string.h>

static char *paths[FIRMWARE_FILES];
static size_t count;
static atomic_bool stopped;

/* QEMU looks in the directories it was built with, all under share/ or lib/ (softmmu/datadir.c). */
static bool is_data_file(const char *path)
{
	size_t len = strlen(path);

	if (path[0] != '/' || !(strstr(path, "/share/") || strstr(path, "/lib/ipxe/")))
		return false;
	return len < 4 || strcmp(path + len - 3, ".so") != 0;
}

/**
 * firmware_note() - a file has been opened for reading
 * @path: as QEMU gave it
 *
 * Called by hooks, on the main thread, until firmware_stop(). What does not fit is not noted: the way back then reads
 * it from where it is.
 */
void firmware_note(const char *path)
{
	if (atomic_load(&stopped) || count == FIRMWARE_FILES || !is_data_file(path))
		return;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(paths[i], path))
			return;
	paths[count] = strdup(path);
	if (paths[count])
		count++;
}

/** firmware_stop() - QEMU has started */
void firmware_stop(void)
{
	atomic_store(&stopped, true);
}

/** firmware_count() - how many files were noted */
size_t firmware_count(void)
{
	return count;
}

/** firmware_path() - one of them, by its index */
const char *firmware_path(size_t index)
{
	return paths[index];
}
