/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ctor.c - a library whose constructor, and a thread that it starts, use the hooked calls before main() and, preloaded
 * behind the shim, before the shim itself has been initialised. With CTOR_RACE a second thread goes on while the shim
 * prepares the program, until the program begins or, where it is QEMU, for a moment.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RACE_MS 300

static atomic_bool stop;
static pthread_t racer;
static bool races;

/* program.c waits by it for the thread that races it. */
__attribute__((visibility("default"))) void ctor_join(void);

static void demand(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "constructor: %s failed\n", what);
		abort();
	}
}

static void use_more(void)
{
	char name[] = "/tmp/ctor.XXXXXX", byte = 'x';
	struct iovec one = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &one, .msg_iovlen = 1 };
	char *const argv[] = { (char *)"true", NULL }, *const env[] = { NULL };
	int status = -1;
	pid_t child;
	int pair[2], pipes[2], made = mkostemp(name, O_CLOEXEC);

	demand(made >= 0 && !unlink(name) && !close(made), "mkostemp");
	demand(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	demand(sendmsg(pair[0], &msg, 0) == 1 && recvmsg(pair[1], &msg, 0) == 1, "sendmsg");
	demand(writev(pair[0], &one, 1) == 1 && readv(pair[1], &one, 1) == 1, "writev");
	demand(!pipe2(pipes, O_CLOEXEC) && dup3(pipes[0], pair[0], O_CLOEXEC) == pair[0], "dup3");
	demand(!close(pipes[0]) && !close(pipes[1]) && !close(pair[0]) && !close(pair[1]), "close");
	int timer = timerfd_create(CLOCK_MONOTONIC, 0), watch = inotify_init1(0),
	    listener = socket(AF_UNIX, SOCK_STREAM, 0);
	demand(timer >= 0 && watch >= 0 && listener >= 0, "timerfd_create");
	demand(!listen(listener, 1) || 1, "listen");
	demand(!close(timer) && !close(watch) && !close(listener), "close");
	/* No range that is anybody's. */
	demand(!close_range(1000000, ~0U, 0), "close_range");
	/* Its environment is empty: this library is not to begin anew in it. */
	demand(!posix_spawn(&child, "/bin/true", NULL, NULL, argv, env), "posix_spawn");
	demand(waitpid(child, &status, 0) == child && !status, "waitpid");
}

static void *race(void *unused)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC), second = dup(fd);
		void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		demand(fd >= 0 && second >= 0 && at != MAP_FAILED, "open in a race");
		demand(!close(fd) && !close(second) && !munmap(at, 4096), "close in a race");
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (!atomic_load(&stop) &&
		 (now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < RACE_MS);
	return unused;
}

void ctor_join(void)
{
	atomic_store(&stop, true);
	if (races)
		pthread_join(racer, NULL);
}

static void *use(void *unused)
{
	int fd = open("/dev/null", O_RDWR), pair[2], queued;
	FILE *stream = fopen("/dev/null", "r");
	DIR *dir = opendir("/");

	(void)unused;
	demand(fd >= 0, "open");
	demand(stream && !fclose(stream), "fopen");
	demand(dir && !closedir(dir), "opendir");
	demand(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) && !close(pair[0]) && !close(pair[1]), "socketpair");
	demand(!ioctl(fd, FIONREAD, &queued) || 1, "ioctl");
	demand(dup2(fd, fd + 100) == fd + 100 && !close(fd + 100), "dup2");
	demand(fcntl(fd, F_GETFL) >= 0, "fcntl");
	int event = eventfd(0, 0), set = epoll_create1(0), memory = memfd_create("ctor", 0);
	demand(event >= 0 && set >= 0 && memory >= 0 && !close(event) && !close(set) && !close(memory), "eventfd");
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	demand(at != MAP_FAILED && !madvise(at, 4096, MADV_DONTNEED) && !munmap(at, 4096), "mmap");
	demand(!close(fd), "close");
	return NULL;
}

__attribute__((constructor)) static void construct(void)
{
	pthread_t thread;

	demand(!pthread_create(&thread, NULL, use, NULL), "pthread_create");
	use(NULL);
	use_more();
	demand(!pthread_join(thread, NULL), "pthread_join");
	races = getenv("CTOR_RACE") != NULL;
	demand(!races || !pthread_create(&racer, NULL, race, NULL), "pthread_create");
	/*
	 * Two that stay open, and that a successor's constructor opens anew: by the first nobody can see that it was not
	 * inherited, by the second one can.
	 */
	demand(open("/dev/zero", O_RDONLY) >= 0, "open");
	demand(open("/dev/full", O_RDONLY | O_CLOEXEC) >= 0, "open");
	if (!getenv("CTOR_QUIET"))
		fputs("constructor: done\n", stderr);
}
