/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * prog_random.c - many threads make, duplicate and end descriptors, streams and mappings of every kind in random order, with
 * what libc opens by itself and what rings (io_uring) open, accept and close in between. Whenever all of them stand still,
 * the table is held against the kernel: nothing unknown and nothing stale but what is known to go past the hooks.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <pthread.h>
#include <pty.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <unistd.h>

#include "../../state/fdtable.h"
#include "program.h"
#include "ring.h"

#define THREADS 12
#define ROUNDS	20
#define STEPS	120
#define HELD	20

enum held_kind { NOTHING, DESCRIPTOR, STREAM, FOLDER, MAPPING, CHILD, TEMPORARY, TERMINAL, RING, BY_RING, KINDS };

/* What is open without a record. An update finds it in /proc/self/fd (shim/inspect.c). */
static const char *const why_unseen[KINDS] = {
	[CHILD] = "unknown: popen() makes its pipe inside libc",
	[TEMPORARY] = "unknown: tmpfile() opens inside libc",
	[TERMINAL] = "unknown: posix_openpt() opens inside libc",
	[RING] = "unknown: a ring is made by a raw system call",
	[BY_RING] = "unknown: a ring opened or accepted it",
};

/**
 * struct held - what a thread has, through all rounds
 * @kind:	enum held_kind
 * @fd:		the descriptor
 * @at:		the stream, folder, mapping or ring
 */
struct held {
	enum held_kind kind;
	int fd;
	void *at;
};

struct worker {
	pthread_t thread;
	unsigned int seed;
	struct held held[HELD];
};

static struct worker workers[THREADS];
static pthread_barrier_t standing;
static bool have_rings; /* the kernel's part is there */

/* By number: a ring closed it since the table was looked at. */
static bool closed_by_ring[FDTABLE_SLOTS];

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s\n", what, strerrorname_np(errno));
	abort();
}

static unsigned int pick(struct worker *w, unsigned int limit)
{
	/* rand_r()'s low bits are poor */
	return (unsigned int)(rand_r(&w->seed) >> 8) % limit;
}

static void hold(struct worker *w, enum held_kind kind, int fd, void *at)
{
	for (int i = 0; i < HELD; i++) {
		if (w->held[i].kind == NOTHING) {
			w->held[i] = (struct held){ kind, fd, at };
			return;
		}
	}
	check(kind == DESCRIPTOR, "too much is held");
	check(!close(fd), "close");
}

/* Return: one that is held, of that kind; NULL where there is none. */
static struct held *any(struct worker *w, enum held_kind kind)
{
	for (unsigned int i = 0, from = pick(w, HELD); i < HELD; i++) {
		struct held *held = &w->held[(from + i) % HELD];

		if (held->kind == kind)
			return held;
	}
	return NULL;
}

/* --- what makes one or two descriptors */

static int make_one(struct worker *w)
{
	struct held *held = any(w, DESCRIPTOR);
	sigset_t set;

	switch (pick(w, 16)) {
	case 0:
		return open("/dev/null", O_RDWR);
	case 1:
		return open64("/dev/zero", O_RDONLY | O_CLOEXEC);
	case 2:
		return openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY);
	case 3:
		return open(".", O_TMPFILE | O_RDWR, 0600);
	case 4:
		return memfd_create("random", MFD_CLOEXEC);
	case 5:
		return eventfd(0, EFD_CLOEXEC);
	case 6:
		return epoll_create1(0);
	case 7:
		return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	case 8:
		return inotify_init1(IN_CLOEXEC);
	case 9:
		sigemptyset(&set);
		sigaddset(&set, SIGALRM);
		return signalfd(-1, &set, SFD_CLOEXEC);
	case 10:
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 11:
		return socket(AF_INET, SOCK_DGRAM, 0);
	case 12:
		return held ? dup(held->fd) : eventfd(0, 0);
	case 13:
		return held ? fcntl(held->fd, F_DUPFD, 3) : eventfd(0, 0);
	case 14:
		return held ? fcntl(held->fd, F_DUPFD_CLOEXEC, 100) : eventfd(0, 0);
	default:
		return creat("file", 0600);
	}
}

static void make_two(struct worker *w)
{
	int fds[2];

	switch (pick(w, 3)) {
	case 0:
		check(!pipe2(fds, O_CLOEXEC), "pipe2");
		break;
	case 1:
		check(!socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), "socketpair");
		break;
	default:
		check(!openpty(&fds[0], &fds[1], NULL, NULL, NULL), "openpty");
		break;
	}
	hold(w, DESCRIPTOR, fds[0], NULL);
	hold(w, DESCRIPTOR, fds[1], NULL);
}

/* One descriptor comes over a connection. */
static void receive(struct worker *w)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int pair[2], fd = eventfd(0, 0);

	check(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	check(sendmsg(pair[0], &msg, 0) == 1, "sendmsg");
	check(!close(fd), "close");
	check(recvmsg(pair[1], &msg, 0) == 1, "recvmsg");
	head = CMSG_FIRSTHDR(&msg);
	check(head, "no descriptor came");
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	hold(w, DESCRIPTOR, fd, NULL);
	check(!close(pair[0]) && !close(pair[1]), "close");
}

/* A listener without a name, a client, and the connection, which a ring accepts where one is held. */
static void accept_one(struct worker *w)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), fd;
	struct held *ring = any(w, RING);
	socklen_t len = sizeof(addr);

	check(!bind(listener, (struct sockaddr *)&addr, len) && !listen(listener, 1), "listen");
	check(!getsockname(listener, (struct sockaddr *)&addr, &len), "getsockname");
	check(!connect(client, (struct sockaddr *)&addr, len), "connect");
	fd = ring ? ring_accept(ring->at, listener) : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	check(fd >= 0, "accept");
	hold(w, ring ? BY_RING : DESCRIPTOR, fd, NULL);
	check(!close(client) && !close(listener), "close");
}

/* --- streams, folders, mappings, and what goes past the hooks */

static void make_ring(struct worker *w)
{
	struct ring *ring = malloc(sizeof(*ring));

	check(ring && !ring_start(ring), "ring_start");
	hold(w, RING, ring->fd, ring);
}

static void open_by_ring(struct worker *w)
{
	struct held *ring = any(w, RING);
	int fd = ring ? ring_open(ring->at, "/dev/null", O_RDWR | O_CLOEXEC) : -1;

	if (!ring)
		return;
	check(fd >= 0, "ring_open");
	hold(w, BY_RING, fd, NULL);
}

static void make_other(struct worker *w)
{
	FILE *stream = NULL;
	DIR *folder;
	void *at;
	int fd;

	switch (pick(w, 8)) {
	case 0:
		stream = fopen("/dev/zero", "re");
		check(stream, "fopen");
		hold(w, STREAM, fileno(stream), stream);
		break;
	case 1:
		folder = opendir(".");
		check(folder, "opendir");
		hold(w, FOLDER, dirfd(folder), folder);
		break;
	case 2:
		at = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		check(at != MAP_FAILED, "mmap");
		hold(w, MAPPING, -1, at);
		break;
	case 3:
		stream = popen("exec cat", "we");
		check(stream, "popen");
		hold(w, CHILD, fileno(stream), stream);
		break;
	case 4:
		stream = tmpfile();
		check(stream, "tmpfile");
		hold(w, TEMPORARY, fileno(stream), stream);
		break;
	case 5:
		fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
		check(fd >= 0, "posix_openpt");
		hold(w, TERMINAL, fd, NULL);
		break;
	case 6:
		open_by_ring(w);
		break;
	default:
		if (have_rings)
			make_ring(w);
		break;
	}
}

/* libc opens and closes by itself, and nothing of it stays. */
static void let_libc_work(struct worker *w)
{
	static const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST };
	struct addrinfo *found;
	struct ifaddrs *list;
	struct dirent **entries;
	struct passwd pw, *user;
	char buf[4096];
	void *library;
	int count;

	switch (pick(w, 8)) {
	case 0:
		if (!getaddrinfo("127.0.0.1", "1", &hints, &found))
			freeaddrinfo(found);
		break;
	case 1:
		getpwnam_r("root", &pw, buf, sizeof(buf), &user);
		break;
	case 2:
		if_nametoindex("lo");
		break;
	case 3:
		if (!getifaddrs(&list))
			freeifaddrs(list);
		break;
	case 4:
		count = scandir(".", &entries, NULL, alphasort);
		for (int i = 0; i < count; i++)
			free(entries[i]);
		if (count >= 0)
			free(entries);
		break;
	case 5:
		openlog("random", LOG_NDELAY, LOG_USER);
		closelog();
		break;
	case 6:
		/* one that nothing needs any more, so that it is loaded each time */
		library = dlopen("libutil.so.1", RTLD_NOW);
		check(library && !dlclose(library), "dlopen");
		break;
	default:
		sysconf(_SC_NPROCESSORS_ONLN);
		break;
	}
}

/* --- what ends them */

/* By a ring, where one is held. */
static void end_past_hooks(struct worker *w, int fd)
{
	struct held *ring = any(w, RING);

	if (!ring) {
		check(!close(fd), "close");
		return;
	}
	__atomic_store_n(&closed_by_ring[fd], true, __ATOMIC_RELAXED);
	check(!ring_close(ring->at, fd), "ring_close");
}

static void end_descriptor(struct worker *w, int fd)
{
	struct held *other;
	FILE *stream;

	switch (pick(w, 5)) {
	case 0:
		check(!close_range((unsigned int)fd, (unsigned int)fd, 0), "close_range");
		break;
	case 1:
		stream = fdopen(fd, (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY ? "w" : "r");
		check(stream && !fclose(stream), "fclose of fdopen");
		break;
	case 2:
		/* its number goes on, for something else */
		other = any(w, DESCRIPTOR);
		if (other && other->fd != fd) {
			check(dup2(other->fd, fd) == fd, "dup2");
			hold(w, DESCRIPTOR, fd, NULL);
			break;
		}
		/* fall through */
	case 3:
		check(!close(fd), "close");
		break;
	default:
		end_past_hooks(w, fd);
		break;
	}
}

static void end(struct worker *w, struct held *held)
{
	struct held ended = *held;

	held->kind = NOTHING;
	switch (ended.kind) {
	case DESCRIPTOR:
		end_descriptor(w, ended.fd);
		break;
	case STREAM:
	case TEMPORARY:
		check(!fclose(ended.at), "fclose");
		break;
	case FOLDER:
		check(!closedir(ended.at), "closedir");
		break;
	case MAPPING:
		check(!munmap(ended.at, 65536), "munmap");
		break;
	case CHILD:
		check(pclose(ended.at) == 0, "pclose");
		break;
	case TERMINAL:
		check(!close(ended.fd), "close");
		break;
	case BY_RING:
		end_past_hooks(w, ended.fd);
		break;
	case RING:
		ring_end(ended.at);
		free(ended.at);
		break;
	default:
		break;
	}
}

static unsigned int count(const struct worker *w)
{
	unsigned int n = 0;

	for (int i = 0; i < HELD; i++)
		n += w->held[i].kind != NOTHING;
	return n;
}

static void step(struct worker *w)
{
	unsigned int chance = pick(w, 100);
	int fd;

	/* room for what makes two */
	if (count(w) > HELD - 4 || chance < 40) {
		end(w, &w->held[pick(w, HELD)]);
	} else if (chance < 65) {
		fd = make_one(w);
		check(fd >= 0, "make_one");
		hold(w, DESCRIPTOR, fd, NULL);
	} else if (chance < 75) {
		make_two(w);
	} else if (chance < 80) {
		receive(w);
	} else if (chance < 84) {
		accept_one(w);
	} else if (chance < 92) {
		make_other(w);
	} else {
		let_libc_work(w);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < STEPS; i++)
			step(w);
		/* the main thread looks between the two */
		pthread_barrier_wait(&standing);
		pthread_barrier_wait(&standing);
	}
	for (int i = 0; i < HELD; i++) {
		while (w->held[i].kind != NOTHING)
			end(w, &w->held[i]);
	}
	return NULL;
}

static void look(int round, unsigned int seen[KINDS])
{
	static const char *unseen[FDTABLE_SLOTS];
	char where[64];

	memset(unseen, 0, sizeof(unseen));
	for (int t = 0; t < THREADS; t++) {
		for (int i = 0; i < HELD; i++) {
			const struct held *held = &workers[t].held[i];

			seen[held->kind]++;
			if (why_unseen[held->kind])
				unseen[held->fd] = why_unseen[held->kind];
		}
	}
	snprintf(where, sizeof(where), "round %d", round);
	program_agree_but(where, unseen, closed_by_ring);
	memset(closed_by_ring, 0, sizeof(closed_by_ring));
}

/* Does the kernel have rings, and let us? */
static bool rings_work(void)
{
	struct ring ring;

	if (ring_start(&ring))
		return false;
	ring_end(&ring);
	return true;
}

int main(void)
{
	const char *given = getenv("RANDOM_SEED");
	unsigned int seed = given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)getpid();
	unsigned int seen[KINDS] = { 0 };

	program_start();
	have_rings = rings_work();
	fprintf(stderr, "seed %u\n", seed);
	pthread_barrier_init(&standing, NULL, THREADS + 1);
	for (unsigned int t = 0; t < THREADS; t++) {
		workers[t].seed = seed * 1000 + t;
		check(!pthread_create(&workers[t].thread, NULL, work, &workers[t]), "pthread_create");
	}
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&standing);
		look(round, seen);
		pthread_barrier_wait(&standing);
	}
	for (int t = 0; t < THREADS; t++)
		pthread_join(workers[t].thread, NULL);
	look(ROUNDS, seen);
	fprintf(stderr, "seen at rest: %u descriptors, %u streams, %u folders, %u mappings\n", seen[DESCRIPTOR],
		seen[STREAM], seen[FOLDER], seen[MAPPING]);
	return program_end();
}
