/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rawctor.c - what CPRSHIM_RAW=on may meet when it changes libc: a library whose constructor makes it so, by the environment.
 *
 *	RAWCTOR_THREADS=N	as many threads call the functions that are to be changed, at libc's own addresses, all the time
 *	RAWCTOR_SIGNALS=yes	and get signals all the time, whose handler does so too
 *	RAWCTOR_JUMP=NAME	that function of libc's begins with a jump, as after another one who changes code
 *	RAWCTOR_POLICY=WHAT	mdwe: no memory may become executable (prctl(2)); mprotect: the same by a seccomp filter, as
 *				systemd's MemoryDenyWriteExecute= has it; change: none may be both, as SELinux without execmod
 *				has it; ptrace: the kernel refuses to trace anything
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS_MAX 16
#define ROUNDS_MORE 2000 /* of each thread, once libc has been changed */

#ifndef PR_SET_MDWE
#define PR_SET_MDWE		 65 /* Linux 6.3 */
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* program.c waits by it for the threads. */
__attribute__((visibility("default"))) void ctor_join(void);

/* libc's, past every hook that is bound by name. */
static int (*libc_close)(int);
static int (*libc_dup)(int);
static int (*libc_dup2)(int, int);
static int (*libc_fcntl)(int, int, ...);
static int (*libc_open)(const char *, int, ...);
static int (*libc_munmap)(void *, size_t);
static void *(*libc_mmap)(void *, size_t, int, int, int, off_t);

static size_t count;
static pthread_t threads[THREADS_MAX], sender;
static atomic_ulong rounds[THREADS_MAX], handled;
static atomic_bool stop;

static void demand(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "rawctor: %s: %s\n", what, strerrorname_np(errno));
		abort();
	}
}

static void find(const char *name, void *ret)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD), *found = libc ? dlsym(libc, name) : NULL;

	demand(found != NULL, name);
	memcpy(ret, &found, sizeof(found));
}

static void use(void)
{
	int saved = errno;

	errno = 0;
	demand(libc_close(-1) == -1 && errno == EBADF, "close");
	demand(libc_dup(-1) == -1 && errno == EBADF, "dup");
	demand(libc_dup2(-1, 5) == -1 && errno == EBADF, "dup2");
	demand(libc_fcntl(-1, F_GETFD) == -1 && errno == EBADF, "fcntl");
	demand(libc_munmap(NULL, 0) == -1 && errno == EINVAL, "munmap");
	demand(libc_mmap(NULL, 0, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL,
	       "mmap");
	demand(libc_open("/none/such", O_RDONLY) == -1 && errno == ENOENT, "open");
	errno = saved;
}

static void handle(int signal)
{
	(void)signal;
	use();
	atomic_fetch_add(&handled, 1);
}

static void *run(void *round)
{
	while (!atomic_load(&stop)) {
		use();
		atomic_fetch_add((atomic_ulong *)round, 1);
	}
	return NULL;
}

static void *send_signals(void *unused)
{
	while (!atomic_load(&stop)) {
		for (size_t i = 0; i < count; i++)
			pthread_kill(threads[i], SIGUSR1);
		/* the main thread, which changes libc */
		syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
		sched_yield();
	}
	return unused;
}

static void start_threads(bool signals)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };

	demand(!sigaction(SIGUSR1, &action, NULL), "sigaction");
	for (size_t i = 0; i < count; i++)
		demand(!pthread_create(&threads[i], NULL, run, &rounds[i]), "pthread_create");
	demand(!signals || !pthread_create(&sender, NULL, send_signals, NULL), "pthread_create");
}

void ctor_join(void)
{
	for (size_t i = 0; i < count; i++)
		for (unsigned long from = atomic_load(&rounds[i]); atomic_load(&rounds[i]) < from + ROUNDS_MORE;)
			sched_yield();
	demand(!sender || atomic_load(&handled) > count, "signals");
	atomic_store(&stop, true);
	if (sender)
		pthread_join(sender, NULL);
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static int own_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}

static int own_dup3(int fd, int to, int flags)
{
	return (int)syscall(SYS_dup3, fd, to, flags);
}

/* jmp *0(%rip), and where to behind it */
static void put_jump(const char *name)
{
	void *to = !strcmp(name, "close") ? (void *)own_close : (void *)own_dup3;
	uint8_t *at, jump[14] = { 0xff, 0x25 };

	find(name, &at);
	memcpy(jump + 6, &to, sizeof(to));
	uint8_t *page = at - (uintptr_t)at % 4096;
	demand(!mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC), "mprotect");
	memcpy(at, jump, sizeof(jump));
	demand(!mprotect(page, 8192, PROT_READ | PROT_EXEC), "mprotect");
}

/* @number is refused with EPERM where its third argument compares so with @value. */
static void refuse(uint32_t number, uint16_t compare, uint32_t value)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | compare | BPF_K, value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

	demand(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
	demand(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), "PR_SET_SECCOMP");
}

static void set_policy(const char *policy)
{
	if (!strcmp(policy, "mdwe"))
		demand(!prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0), "PR_SET_MDWE");
	else if (!strcmp(policy, "mprotect"))
		refuse(SYS_mprotect, BPF_JSET, PROT_EXEC);
	else if (!strcmp(policy, "change"))
		refuse(SYS_mprotect, BPF_JEQ, PROT_READ | PROT_WRITE | PROT_EXEC);
	else
		refuse(SYS_ptrace, BPF_JGE, 0);
}

__attribute__((constructor)) static void construct(void)
{
	const char *number = getenv("RAWCTOR_THREADS"), *name = getenv("RAWCTOR_JUMP"),
		   *policy = getenv("RAWCTOR_POLICY");

	find("close", &libc_close);
	find("dup", &libc_dup);
	find("dup2", &libc_dup2);
	find("fcntl64", &libc_fcntl);
	find("open64", &libc_open);
	find("munmap", &libc_munmap);
	find("mmap64", &libc_mmap);
	if (name)
		put_jump(name);
	if (policy)
		set_policy(policy);
	count = number ? strtoul(number, NULL, 10) : 0;
	demand(count <= THREADS_MAX, "RAWCTOR_THREADS");
	if (count)
		start_threads(getenv("RAWCTOR_SIGNALS") != NULL);
}
