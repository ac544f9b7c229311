/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ctor.c - a library whose constructor, and a thread that it starts, use the hooked calls before main() and, preloaded
 * behind the shim, before the shim itself has been initialised.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void demand(int good, const char *what)
{
	if (!good) {
		fprintf(stderr, "constructor: %s failed\n", what);
		abort();
	}
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
	demand(!pthread_join(thread, NULL), "pthread_join");
	/* One that stays open: main() finds it, and the shim has to record it as inherited. */
	demand(open("/dev/zero", O_RDONLY) >= 0, "open");
	if (!getenv("CTOR_QUIET"))
		fputs("constructor: done\n", stderr);
}
