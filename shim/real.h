/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * real.h - libc's own functions, which the hooks stand in front of.
 *
 * real(NAME) is a pointer to the function that NAME would be bound to without us. Any code of the shim that needs a
 * hooked function calls it through real(), so that nothing of ours is ever recorded as QEMU's.
 */
#ifndef CPRSHIM_SHIM_REAL_H
#define CPRSHIM_SHIM_REAL_H

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#define SHIM_HOOK __attribute__((visibility("default")))

/* libc exports these for fortified callers (-D_FORTIFY_SOURCE) but declares them in no header. */
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);
int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
		      void (*rtld_fini)(void), void *stack_end);

enum hook_id {
#define HOOK(number, symbol) HOOK_##symbol = (number),
#include "../state/hooks.def"
#undef HOOK
	HOOK_COUNT
};

struct real_calls {
#define HOOK(number, symbol) __typeof__(&symbol) symbol;
#include "../state/hooks.def"
#undef HOOK
};

extern struct real_calls real_calls;
extern bool real_resolved;

void real_resolve(void);
const char *real_shadowed(void);
void *real_symbol(const char *name);
void *real_hook(const char *name);
void *real_libc(const char *name, size_t *ret_size);
bool real_leads_to(const char *name, const void *function);
void real_redirect(const void *from, void *to);

#define real(symbol) (*(__builtin_expect(real_resolved, true) ? (void)0 : real_resolve(), &real_calls.symbol))

#endif
