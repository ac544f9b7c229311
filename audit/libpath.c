/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libpath.c - where the dynamic loader would find a library (ld.so(8)): the file's own paths, its cache, its folders. */
#include "libpath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CACHE	    "/etc/ld.so.cache"
#define CACHE_MAGIC "glibc-ld.so.cache1.1"
#define CACHE_MAX   (64u << 20)

/* glibc: sysdeps/generic/dl-cache.h, struct cache_file_new and struct file_entry_new */
struct cache_head {
	char magic[20];
	uint32_t count, strings, unused[5];
};

struct cache_entry {
	int32_t flags;
	uint32_t key, value, osversion;
	uint64_t hwcap;
};

/* Folders that the loader knows by itself, Debian's and others'. */
static const char *const folders[] = { "/$LIB", "/usr/$LIB", "/lib64", "/usr/lib64", "/lib", "/usr/lib" };

/* A search: @fn says with 1 that a file is the one, with 0 that it is not; @lib stands for $LIB. */
struct search {
	const char *name, *lib;
	libpath_fn fn;
	void *arg;
};

static int try_path(const struct search *search, const char *folder, size_t len)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%.*s/%s", (int)len, folder, search->name);

	if (len == 0 || len > PATH_MAX || n >= (int)sizeof(path) || access(path, R_OK))
		return 0;
	return search->fn(path, search->arg);
}

/* Return: length of a token of that name at @text, with or without braces, 0 for none. */
static size_t token(const char *text, const char *name)
{
	size_t len = strlen(name);

	if (text[0] != '$')
		return 0;
	if (text[1] == '{')
		return !strncmp(text + 2, name, len) && text[len + 2] == '}' ? len + 3 : 0;
	return !strncmp(text + 1, name, len) ? len + 1 : 0;
}

static void append(char *buf, size_t size, const char *text, size_t len)
{
	size_t used = strlen(buf);

	if (len < size - used) {
		memcpy(buf + used, text, len);
		buf[used + len] = '\0';
	}
}

/* One folder of a list, with what stands for the place of the file that has it. */
static int try_expanded(const struct search *search, const char *folder, size_t len, const char *owner)
{
	const char *slash = strrchr(owner, '/');
	char path[PATH_MAX] = "";

	for (size_t i = 0, n; i < len; i += n) {
		n = token(folder + i, "ORIGIN");
		if (n) {
			append(path, sizeof(path), owner, slash ? (size_t)(slash - owner) : 0);
			continue;
		}
		n = token(folder + i, "LIB");
		if (n) {
			append(path, sizeof(path), search->lib, strlen(search->lib));
			continue;
		}
		n = 1;
		append(path, sizeof(path), folder + i, 1);
	}
	return try_path(search, path, strlen(path));
}

static int try_list(const struct search *search, const char *list, const char *owner)
{
	int found = 0;

	while (list && *list && !found) {
		size_t len = strcspn(list, ":");

		found = try_expanded(search, list, len, owner);
		list += len + (list[len] == ':');
	}
	return found;
}

static void *read_cache(size_t *ret_len)
{
	int fd = open(CACHE, O_RDONLY | O_CLOEXEC);
	void *bytes = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && st.st_size > 0 && st.st_size < CACHE_MAX)
		bytes = malloc((size_t)st.st_size);
	if (bytes && read(fd, bytes, (size_t)st.st_size) == st.st_size) {
		*ret_len = (size_t)st.st_size;
	} else {
		free(bytes);
		bytes = NULL;
	}
	close(fd);
	return bytes;
}

static const char *cache_text(const char *bytes, size_t len, uint32_t offset)
{
	return offset < len && memchr(bytes + offset, '\0', len - offset) ? bytes + offset : NULL;
}

/*
 * The entries that fit: those for processors of a higher level, any of which the loader may choose, up to the first that is
 * for all.
 */
static int try_cache(const struct search *search)
{
	struct cache_head head;
	size_t len = 0;
	char *bytes = read_cache(&len);
	int found = 0;

	if (!bytes || len < sizeof(head)) {
		free(bytes);
		return 0;
	}
	memcpy(&head, bytes, sizeof(head));
	if (memcmp(head.magic, CACHE_MAGIC, sizeof(head.magic)) != 0)
		head.count = 0;
	for (size_t i = 0; i < head.count && sizeof(head) + (i + 1) * sizeof(struct cache_entry) <= len; i++) {
		struct cache_entry entry;
		const char *key, *path;

		memcpy(&entry, bytes + sizeof(head) + i * sizeof(entry), sizeof(entry));
		key = cache_text(bytes, len, entry.key);
		path = cache_text(bytes, len, entry.value);
		if (!key || !path || strcmp(key, search->name) != 0)
			continue;
		found |= search->fn(path, search->arg);
		if (found < 0 || (found && !entry.hwcap))
			break;
	}
	free(bytes);
	return found;
}

/**
 * libpath_multiarch() - the folder below / and /usr that is for one kind of processor, where Debian has its libraries
 * @obj: a file for that kind
 */
const char *libpath_multiarch(const struct elfobject *obj)
{
	return obj->machine == EM_AARCH64 ? "lib/aarch64-linux-gnu" : "lib/x86_64-linux-gnu";
}

/**
 * libpath_each() - the files that a library may be
 * @asking: what is looked for
 * @fn:     called with each file that is there; 1: it is the one, 0: not, negative: give up
 * @arg:    for @fn
 *
 * Without folders of its own, LD_LIBRARY_PATH of the caller counts, as it would for a program that is started.
 *
 * Return: 1 for found, 0 for nowhere, or what @fn gave up with.
 */
int libpath_each(const struct libpath *asking, libpath_fn fn, void *arg)
{
	const char *first = asking->library_path ? asking->library_path : getenv("LD_LIBRARY_PATH");
	const char *runpath = elfobject_dynamic_text(asking->obj, DT_RUNPATH);
	struct search search = { asking->name, libpath_multiarch(asking->program), fn, arg };
	int found = 0;

	if (strchr(asking->name, '/'))
		return access(asking->name, R_OK) ? 0 : fn(asking->name, arg);
	if (!runpath) {
		found = try_list(&search, elfobject_dynamic_text(asking->obj, DT_RPATH), asking->path);
		if (!found && !elfobject_dynamic_text(asking->program, DT_RUNPATH))
			found = try_list(&search, elfobject_dynamic_text(asking->program, DT_RPATH),
					 asking->program_path);
	}
	if (!found)
		found = try_list(&search, first, asking->path);
	if (!found)
		found = try_list(&search, runpath, asking->path);
	if (!found)
		found = try_cache(&search);
	for (size_t i = 0; !found && i < sizeof(folders) / sizeof(folders[0]); i++)
		found = try_expanded(&search, folders[i], strlen(folders[i]), "");
	return found;
}
