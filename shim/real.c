/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * real.c - finds libc's own functions; the only file that calls dlsym().
 *
 * The first hooked call can come from another library's constructor, before ours, and on any thread: resolving is lazy,
 * takes no lock and allocates nothing. Two threads that race here find the same, and the first to find a function sets it:
 * by the time that the second comes to it, it may lead elsewhere (real_redirect()).
 */
#include "real.h"

#include <dlfcn.h>
#include <link.h>
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

#define UNRESOLVED                                                                                              \
	{                                                                                                       \
		.open = raw_open, .open64 = raw_open, .close = raw_close, .mmap = raw_mmap, .mmap64 = raw_mmap, \
		.munmap = raw_munmap, .madvise = raw_madvise                                                    \
	}

static const struct real_calls unresolved = UNRESOLVED;
struct real_calls real_calls = UNRESOLVED;
bool real_resolved;

static const struct {
	const char *name;
	size_t offset;
} symbols[] = {
#define HOOK(number, symbol) { #symbol, offsetof(struct real_calls, symbol) },
#include "../state/hooks.def"
#undef HOOK
};

/* Every member is a pointer to a function, each of another type. */
typedef void *slot __attribute__((may_alias));

static slot *slot_of(size_t index)
{
	return (slot *)((char *)&real_calls + symbols[index].offset);
}

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
		void *found = dlsym(RTLD_NEXT, symbols[i].name), *before;

		memcpy(&before, (const char *)&unresolved + symbols[i].offset, sizeof(before));
		if (found)
			__atomic_compare_exchange_n(slot_of(i), &before, found, false, __ATOMIC_RELEASE,
						    __ATOMIC_RELAXED);
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

/* Return: a symbol of a library that is loaded already, NULL where either is not there. */
static void *symbol_of(const char *library, const char *name)
{
	void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
	void *found = handle ? dlsym(handle, name) : NULL;

	if (handle)
		dlclose(handle);
	return found;
}

/**
 * real_hook() - one of the functions that this library exports
 * @name: its name
 *
 * The address of a function by its name is whosever stands first in the process, which another library may.
 *
 * Return: its address, or NULL.
 */
void *real_hook(const char *name)
{
	Dl_info ours;

	return dladdr(&real_calls, &ours) ? symbol_of(ours.dli_fname, name) : NULL;
}

/**
 * real_libc() - one of libc's functions, whoever else has one of that name
 * @name:     its name; may be one that libc has for its own libraries (GLIBC_PRIVATE)
 * @ret_size: bytes of its code
 *
 * Return: its address, or NULL where libc has none.
 */
void *real_libc(const char *name, size_t *ret_size)
{
	void *found = symbol_of("libc.so.6", name), *symbol;
	Dl_info info;

	if (!found || !dladdr1(found, &info, &symbol, RTLD_DL_SYMENT) || info.dli_saddr != found)
		return NULL;
	*ret_size = ((const ElfW(Sym) *)symbol)->st_size;
	return found;
}

/**
 * real_leads_to() - is real(NAME) this function?
 * @name:     name of a hook
 * @function: some address
 */
bool real_leads_to(const char *name, const void *function)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if (!strcmp(symbols[i].name, name))
			return __atomic_load_n(slot_of(i), __ATOMIC_ACQUIRE) == function;
	return false;
}

/**
 * real_redirect() - have every real(NAME) that is one function be another from now on
 * @from: the function
 * @to:   what does the same
 *
 * Other threads may call real() meanwhile, and take either. Async-signal-safe.
 */
void real_redirect(const void *from, void *to)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		void *expected = (void *)from;

		__atomic_compare_exchange_n(slot_of(i), &expected, to, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
	}
}
