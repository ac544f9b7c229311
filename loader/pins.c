/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* pins.c - what the running QEMU is made of, held open; see pins.h. */
#include "pins.h"

#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../shim/firmware.h"
#include "../shim/log.h"
#include "../shim/real.h"
#include "../shim/slots.h"
#include "../shim/table.h"

static struct pin pins[PINS_MAX];
static size_t count;
static bool no_numbers; /* the limit on open files was met */

/* These come with the dynamic loader and must match it. */
static bool is_glibc(const char *name)
{
	static const char *const names[] = { "libc.so.6",   "libm.so.6",      "libpthread.so.0",     "libdl.so.2",
					     "librt.so.1",  "libresolv.so.2", "libutil.so.1",	     "libmvec.so.1",
					     "libnsl.so.1", "libanl.so.1",    "libBrokenLocale.so.1" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return true;
	return !strncmp(name, "ld-linux", 8) || !strncmp(name, "ld64.so", 7) || !strncmp(name, "libnss_", 7);
}

static void add(unsigned int kind, const char *name, const char *path)
{
	int fd = count < PINS_MAX ? real(open)(path, O_RDONLY | O_CLOEXEC) : -1;

	no_numbers |= fd < 0 && count < PINS_MAX && errno == EMFILE;
	if (fd < 0)
		return;
	fd = slots_move(fd);
	no_numbers |= fd < 0;
	if (fd < 0)
		return;
	pins[count] = (struct pin){ .kind = kind, .fd = fd, .name = strdup(name), .path = strdup(path) };
	if (pins[count].name && pins[count].path)
		count++;
	else
		slots_close(fd);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/**
 * pins_is_module() - is this loaded file a module of QEMU's?
 * @path: where it was loaded from
 *
 * It looks like a library; preloaded, it would end QEMU, which wants to load it itself (util/module.c).
 */
bool pins_is_module(const char *path)
{
	size_t len = (size_t)(base_name(path) - path);

	if (len > 1 && strlen(vm.binary.module_dir) == len - 1 && !strncmp(path, vm.binary.module_dir, len - 1))
		return true;
	return len > 6 && !strncmp(path + len - 6, "/qemu/", 6);
}

/* Is this loaded file our own? */
static bool is_own(const struct dl_phdr_info *info)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

		if (info->dlpi_phdr[i].p_type == PT_LOAD && (uintptr_t)is_own >= start &&
		    (uintptr_t)is_own < start + info->dlpi_phdr[i].p_memsz)
			return true;
	}
	return false;
}

static int add_library(struct dl_phdr_info *info, size_t size, void *opaque)
{
	const char *path = info->dlpi_name;

	(void)size;
	(void)opaque;
	/* The main program has no name, the vDSO no path; we are held by vm.library_fd. */
	if (path && path[0] == '/' && !is_glibc(base_name(path)) && !is_own(info) &&
	    strncmp(path, "/proc/self/fd/", 14) != 0 && !pins_is_module(path))
		add(CPR_PIN_LIBRARY, base_name(path), path);
	return 0;
}

struct own {
	char *path;
	size_t size;
	bool found;
};

static int find_own(struct dl_phdr_info *info, size_t size, void *opaque)
{
	struct own *own = opaque;

	(void)size;
	if (!is_own(info))
		return 0;
	own->found = (size_t)snprintf(own->path, own->size, "%s", info->dlpi_name) < own->size;
	return 1;
}

/** pins_own_path() - path that this library was loaded from. Return: false where it is not known. */
bool pins_own_path(char *ret, size_t size)
{
	struct own own = { .path = ret, .size = size };

	dl_iterate_phdr(find_own, &own);
	return own.found;
}

/**
 * pins_open_binary() - hold a QEMU binary
 * @binary: filled in: fd, path, module_dir
 * @path:   where it is
 *
 * Return: 0 or a negative errno.
 */
int pins_open_binary(struct vm_binary *binary, const char *path)
{
	int fd = real(open)(path, O_RDONLY | O_CLOEXEC);

	*binary = (struct vm_binary){ .fd = -1 };
	if (fd < 0)
		return -errno;
	binary->fd = slots_move(fd);
	snprintf(binary->path, sizeof(binary->path), "%s", path);
	pins_module_dir(binary);
	return binary->fd < 0 ? binary->fd : 0;
}

/* The last part of the directory that libc is in: "x86_64-linux-gnu", or "lib64". */
static int find_libc_dir(struct dl_phdr_info *info, size_t size, void *opaque)
{
	char *ret = opaque;
	const char *base = base_name(info->dlpi_name);

	(void)size;
	if (strcmp(base, "libc.so.6") != 0 || base == info->dlpi_name)
		return 0;
	const char *end = base - 1, *start = end;
	while (start > info->dlpi_name && start[-1] != '/')
		start--;
	snprintf(ret, NAME_MAX, "%.*s", (int)(end - start), start);
	return 1;
}

static bool is_directory(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISDIR(st.st_mode);
}

/**
 * pins_module_dir() - find the modules that were installed with a binary
 * @binary: its fd is open; module_dir is filled in, "" where there are none beside it
 *
 * QEMU looks in the directory that it was built for, wherever the binary lies now; a QEMU unpacked into a folder would
 * load the system's modules, which are another build's. So modules beside the binary (PREFIX/lib/TRIPLET/qemu and its
 * like) go first.
 */
void pins_module_dir(struct vm_binary *binary)
{
	char link[64], exe[PATH_MAX], libc_dir[NAME_MAX] = "";
	static const char *const under[] = { "lib", "lib64" };

	binary->module_dir[0] = '\0';
	snprintf(link, sizeof(link), "/proc/self/fd/%d", binary->fd);
	ssize_t n = readlink(link, exe, sizeof(exe) - 1);
	if (n <= 0)
		return;
	exe[n] = '\0';
	/* PREFIX/bin/NAME */
	for (int up = 0; up < 2; up++) {
		char *slash = strrchr(exe, '/');

		if (!slash)
			return;
		*slash = '\0';
	}
	dl_iterate_phdr(find_libc_dir, libc_dir);
	for (size_t i = 0; i < 3; i++) {
		char dir[PATH_MAX + NAME_MAX];

		if (i == 0)
			snprintf(dir, sizeof(dir), "%s/lib/%s/qemu", exe, libc_dir);
		else
			snprintf(dir, sizeof(dir), "%s/%s/qemu", exe, under[i - 1]);
		if (strlen(dir) < sizeof(binary->module_dir) && is_directory(dir)) {
			strcpy(binary->module_dir, dir);
			return;
		}
	}
}

static void add_modules(const char *dir)
{
	DIR *d = real(opendir)(dir);

	if (!d)
		return;
	for (struct dirent *entry; (entry = readdir(d));) {
		char path[PATH_MAX + NAME_MAX];
		size_t len = strlen(entry->d_name);

		if (len < 4 || strcmp(entry->d_name + len - 3, ".so") != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		add(CPR_PIN_MODULE, entry->d_name, path);
	}
	real(closedir)(d);
}

/**
 * pins_take() - hold libraries, modules and firmware of the running QEMU
 *
 * Called by the service thread once QEMU has read its firmware.
 */
void pins_take(void)
{
	firmware_stop();
	dl_iterate_phdr(add_library, NULL);
	if (vm.binary.module_dir[0])
		add_modules(vm.binary.module_dir);
	for (size_t i = 0; i < firmware_count(); i++) {
		const char *path = firmware_path(i);
		const char *keymap = strstr(path, "/keymaps/");

		add(CPR_PIN_FIRMWARE, keymap ? keymap + 1 : base_name(path), path);
	}
	if (!no_numbers)
		return;
	/* The numbers are needed for QEMU's clients and for cprctl's. */
	pins_release();
	table_incomplete(
		"the limit on open files (ulimit -n) is too low to hold the running QEMU's files for a way back");
}

/** pins_adopt() - on the way back: the pins that are still held */
void pins_adopt(const struct cprstate *state)
{
	for (uint32_t i = 0; i < state->pin_count && count < PINS_MAX; i++) {
		const struct cpr_pin *p = &state->pin[i];

		if (p->kind == CPR_PIN_IMAGE)
			continue; /* for the time of the update only */
		pins[count] =
			(struct pin){ .kind = p->kind, .fd = p->fd, .name = strdup(p->name), .path = strdup(p->path) };
		if (pins[count].name && pins[count].path)
			count++;
	}
}

/** pins_release() - let go of all */
void pins_release(void)
{
	while (count) {
		struct pin *p = &pins[--count];

		slots_close(p->fd);
		free(p->name);
		free(p->path);
	}
}

/** pins_count() - how many there are */
size_t pins_count(void)
{
	return count;
}

/** pins_at() - one of them, by its index */
const struct pin *pins_at(size_t index)
{
	return &pins[index];
}

static bool changed(const struct pin *p)
{
	struct stat held, now;

	return fstat(p->fd, &held) || stat(p->path, &now) || held.st_dev != now.st_dev || held.st_ino != now.st_ino;
}

/** pins_changed_on_disk() - has a file of the running QEMU been replaced or removed? */
bool pins_changed_on_disk(void)
{
	for (size_t i = 0; i < count; i++)
		if (changed(&pins[i]))
			return true;
	return false;
}

static int link_pin(const char *dir, const struct pin *p)
{
	char target[64], name[PATH_MAX + NAME_MAX];

	snprintf(name, sizeof(name), "%s/%s", dir, p->name);
	char *slash = strchr(name + strlen(dir) + 1, '/');
	if (slash) {
		*slash = '\0';
		if (mkdir(name, 0700) && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	snprintf(target, sizeof(target), "/proc/self/fd/%d", p->fd);
	/* One that is there may be another program's, which had this process id, and lead to another file. */
	real(unlink)(name);
	return symlink(target, name) ? -errno : 0;
}

/* In a directory that all may write to (sticky), somebody else may have made it first. */
static int make_own(const char *dir)
{
	struct stat st;

	if (!mkdir(dir, 0700))
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (lstat(dir, &st))
		return -errno;
	return S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

/**
 * pins_prepare_way_back() - say how the running QEMU is started again, whatever is on disk by now
 * @dir: directory for links, made here; used only where a file has changed
 * @ret: a copy of vm.binary with module_dir, firmware_dir and preload filled in as needed
 *
 * Return: 0 or a negative errno.
 */
int pins_prepare_way_back(const char *dir, struct vm_binary *ret)
{
	size_t len = 0;

	*ret = vm.binary;
	if (!pins_changed_on_disk())
		return 0;
	int rc = make_own(dir);
	if (rc)
		return rc;
	for (size_t i = 0; i < count; i++) {
		if (pins[i].kind == CPR_PIN_LIBRARY) {
			/* In their order, so that symbols resolve as they did. */
			int n = snprintf(ret->preload + len, sizeof(ret->preload) - len, "%s/proc/self/fd/%d",
					 len ? ":" : "", pins[i].fd);

			len += (size_t)n;
			if (len >= sizeof(ret->preload))
				return -ENAMETOOLONG;
			continue;
		}
		rc = link_pin(dir, &pins[i]);
		if (rc)
			return rc;
	}
	snprintf(ret->module_dir, sizeof(ret->module_dir), "%s", dir);
	snprintf(ret->firmware_dir, sizeof(ret->firmware_dir), "%s", dir);
	return 0;
}

static void remove_entries(const char *dir)
{
	char path[PATH_MAX + NAME_MAX];
	DIR *d = real(opendir)(dir);

	if (!d)
		return;
	for (struct dirent *entry; (entry = readdir(d));) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		if (entry->d_type == DT_LNK)
			real(unlink)(path);
	}
	real(closedir)(d);
	rmdir(dir);
}

/** pins_remove_links() - remove what pins_prepare_way_back() made under @dir, if it did */
void pins_remove_links(const char *dir)
{
	char keymaps[PATH_MAX + 16];

	snprintf(keymaps, sizeof(keymaps), "%s/keymaps", dir);
	remove_entries(keymaps);
	remove_entries(dir);
}
