/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * real.c - finds libc's own functions; the only file that calls dlsym().
 *
 * The first hooked call can come from another library's constructor, before ours, and on any thread: resolving is lazy,
 * takes no lock and allocates nothing. Two threads that race here write the same values.
 */
#include "real.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

/*
 * An allocator that was preloaded too may map memory from inside dlsym() (jemalloc's start-up does). What it needs then
 * is answered by the kernel itself.
 */
static void *raw_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

static int raw_munmap(void *addr, size_t len)
{
	return (int)syscall(SYS_munmap, addr, len);
}

static int raw_madvise(void *addr, size_t len, int advice)
{
	return (int)syscall(SYS_madvise, addr, len, advice);
}

static int raw_open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, va_arg(ap, int));
	va_end(ap);
	return fd;
}

static int raw_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}

struct real_calls real_calls = {
	.open = raw_open,
	.open64 = raw_open,
	.close = raw_close,
	.mmap = raw_mmap,
	.mmap64 = raw_mmap,
	.munmap = raw_munmap,
	.madvise = raw_madvise,
};
bool real_resolved;

static const struct {
	const char *name;
	size_t offset;
} symbols[] = {
#define HOOK(number, symbol) { #symbol, offsetof(struct real_calls, symbol) },
#include "../state/hooks.def"
#undef HOOK
};

/**
 * real_resolve() - fill real_calls
 *
 * Signal safety: as dlsym() in the successful case, which takes no memory. A missing symbol leaves what stood there.
 */
void real_resolve(void)
{
	static __thread bool resolving __attribute__((tls_model("initial-exec")));

	if (resolving)
		return;
	resolving = true;
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *found = dlsym(RTLD_NEXT, symbols[i].name);

		if (found)
			memcpy((char *)&real_calls + symbols[i].offset, &found, sizeof(found));
	}
	__atomic_store_n(&real_resolved, true, __ATOMIC_RELEASE);
	resolving = false;
}

/**
 * real_shadowed() - does another library take mmap() before we see it?
 *
 * A hook that is behind another library's is called where that one passes calls on; tcmalloc's mmap() does not.
 *
 * Return: the library's path, or NULL.
 */
const char *real_shadowed(void)
{
	Dl_info first, ours;
	void *found = dlsym(RTLD_DEFAULT, "mmap64");

	if (!found || !dladdr(found, &first) || !dladdr(&real_calls, &ours) || first.dli_fbase == ours.dli_fbase)
		return NULL;
	return first.dli_fname;
}

/**
 * real_symbol() - look up a symbol that the main program may export
 * @name: its name
 *
 * Distributions link QEMU with its symbols exported where it is built with modules.
 *
 * Return: its address, or NULL.
 */
void *real_symbol(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}
