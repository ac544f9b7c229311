/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks_mem.c - mappings and memfds.
 *
 * None of these is called at steady state by QEMU; mmap and munmap are by allocators, so each asks its cheap questions
 * first.
 */
#include <stdarg.h>

#include "guard.h"
#include "ram.h"
#include "real.h"
#include "slots.h"
#include "table.h"

static void *map(void *addr, size_t len, int prot, int flags, int fd, off_t offset, const void *caller)
{
	void *ret;

	if (!guard_enter())
		return real(mmap64)(addr, len, prot, flags, fd, offset);
	bool activation = (flags & MAP_FIXED) && ram_is_activation(addr, len, caller);
	/* QEMU does so with a page of RAM that the host's memory lost (physmem.c:qemu_ram_remap). */
	if ((flags & MAP_FIXED) && !activation && ram_overlaps(addr, len))
		table_incomplete("a part of guest RAM was mapped anew");
	ret = activation ? ram_map(addr, len, prot, flags, fd, offset)
			 : real(mmap64)(addr, len, prot, flags, fd, offset);
	/*
	 * A reservation of address space: PROT_NONE, and not at an address of the caller's choice. QEMU reserves with
	 * the file itself where that is hugetlbfs (mmap_reserve()), so the descriptor does not matter.
	 */
	if (ret != MAP_FAILED && prot == PROT_NONE && !(flags & MAP_FIXED))
		ram_note_reserve(ret, len);
	guard_leave();
	return ret;
}

SHIM_HOOK void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	return map(addr, len, prot, flags, fd, offset, __builtin_return_address(0));
}

SHIM_HOOK void *mmap64(void *addr, size_t len, int prot, int flags, int fd, off64_t offset)
{
	return map(addr, len, prot, flags, fd, offset, __builtin_return_address(0));
}

SHIM_HOOK int munmap(void *addr, size_t len)
{
	if (guard_enter()) {
		ram_note_unmap(addr, len);
		guard_leave();
	}
	return real(munmap)(addr, len);
}

SHIM_HOOK void *mremap(void *addr, size_t old_len, size_t new_len, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	void *new_addr = flags & MREMAP_FIXED ? va_arg(ap, void *) : NULL;
	va_end(ap);
	if (guard_enter()) {
		if (ram_overlaps(addr, old_len))
			table_incomplete("guest RAM was moved with mremap()");
		guard_leave();
	}
	return real(mremap)(addr, old_len, new_len, flags, new_addr);
}

SHIM_HOOK int madvise(void *addr, size_t len, int advice)
{
	int rc;

	if (guard_enter()) {
		bool done = ram_advise(addr, len, advice, &rc);

		guard_leave();
		if (done)
			return rc;
	}
	return real(madvise)(addr, len, advice);
}

SHIM_HOOK int mlockall(int flags)
{
	if (guard_enter()) {
		bool later = ram_defer_lock(flags);

		guard_leave();
		if (later)
			return 0;
	}
	return real(mlockall)(flags);
}

/*
 * QEMU's RCU thread calls this whenever it has nothing to do any more (util/rcu.c:call_rcu_thread), while the guest stands
 * still too: what it gives back the load of the devices' state needs at once, and it waits for malloc()'s lock meanwhile.
 */
SHIM_HOOK int malloc_trim(size_t pad)
{
	return guard_role() == SHIM_SUCCESSOR ? 0 : real(malloc_trim)(pad);
}

SHIM_HOOK int memfd_create(const char *name, unsigned int flags)
{
	int fd = real(memfd_create)(name, flags);

	if (fd >= 0 && guard_enter()) {
		table_note_text(fd, FDKIND_MEMFD, HOOK_memfd_create, name);
		guard_leave();
	}
	return fd;
}
