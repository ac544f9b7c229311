/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* needs.c - what a QEMU binary would look for in vain; see needs.h. */
#include "needs.h"

#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../shim/real.h"
#include "../shim/slots.h"
#include "child.h"
#include "pins.h"
#include "probe.h"

#define TRACE_MS    5000
#define TRACE_BYTES 65536

/* Lines of ld.so(8), LD_TRACE_LOADED_OBJECTS: "\tlibx.so.1 => not found". */
static bool find_missing(char *text, const char *path, struct reasons *reasons)
{
	bool found = false;
	char *save;

	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *end = strstr(line, " => not found");

		if (!end)
			continue;
		*end = '\0';
		reasons_add(reasons, BLOCKER_LIBRARY_MISSING, "%s needs the library %s, which is not found", path,
			    line + strspn(line, " \t"));
		found = true;
	}
	return found;
}

/**
 * needs_libraries() - have the dynamic loader name the libraries that it does not find
 * @binary:  a QEMU that did not start, from its file
 * @reasons: one for each library
 *
 * Return: true where there are any.
 */
bool needs_libraries(const struct vm_binary *binary, struct reasons *reasons)
{
	int out = slots_memfd("cprshim-needs");
	char *text = calloc(1, TRACE_BYTES);
	bool found = false;
	pid_t pid;

	if (out >= 0 && text && !probe_spawn(binary, "LD_TRACE_LOADED_OBJECTS=1", out, -1, out, &pid)) {
		child_wait(pid, TRACE_MS); /* a program that is no dynamic one does not end by itself */
		found = pread(out, text, TRACE_BYTES - 1, 0) > 0 && find_missing(text, binary->path, reasons);
	}
	free(text);
	slots_close(out);
	return found;
}

struct search {
	const struct vm_binary *binary;
	const char *map;
	size_t size;
	struct reasons *reasons;
};

static int check_module(struct dl_phdr_info *info, size_t size, void *opaque)
{
	const struct search *s = opaque;
	const char *slash = strrchr(info->dlpi_name, '/');
	char name[NAME_MAX + 2] = "", path[sizeof(s->binary->module_dir) + sizeof(name)];

	(void)size;
	if (!slash || !pins_is_module(info->dlpi_name) || strlen(slash) > NAME_MAX)
		return 0;
	/* As it stands in QEMU's table of modules (util/module.c, modinfo): "\0accel-tcg-x86_64\0". */
	size_t len = (size_t)snprintf(name + 1, sizeof(name) - 1, "%s", slash + 1);
	if (len < 4 || strcmp(name + 1 + len - 3, ".so") != 0)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", s->binary->module_dir, name + 1);
	name[1 + len - 3] = '\0';
	if (memmem(s->map, s->size, name, len - 1) && access(path, R_OK))
		reasons_add(s->reasons, BLOCKER_MODULE_MISSING, "%s has its module %s not in %s", s->binary->path,
			    name + 1, s->binary->module_dir);
	return 0;
}

/**
 * needs_modules() - are the modules there that the running QEMU has loaded?
 * @binary:  the replacement
 * @reasons: one for each module that it has as a module too, but not on disk
 *
 * What is built into it needs no file. Where its modules are is known for those that lie beside it only; others are found
 * missing by a rehearsal.
 */
void needs_modules(const struct vm_binary *binary, struct reasons *reasons)
{
	struct search s = { .binary = binary, .reasons = reasons };
	struct stat st;

	if (binary->fd < 0 || !binary->module_dir[0] || fstat(binary->fd, &st))
		return;
	void *map = real(mmap)(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, binary->fd, 0);
	if (map == MAP_FAILED)
		return;
	s.map = map;
	s.size = (size_t)st.st_size;
	dl_iterate_phdr(check_module, &s);
	real(munmap)(map, s.size);
}
