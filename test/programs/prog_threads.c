/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * prog_threads.c - many threads at once make, duplicate and close descriptors; others are cancelled, children are
 * forked and a signal handler closes, all in the middle of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#define THREADS 64

static atomic_bool stop;
static atomic_ulong rounds;

static void check(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		abort();
	}
}

/* Leaves nothing open. */
static void one_round(void)
{
	int fd = open64("/dev/null", O_RDWR), second = dup(fd), pair[2];

	check(fd, "open64");
	check(second, "dup");
	check(close(fd), "close");
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	check(dup3(second, pair[1], O_CLOEXEC), "dup3");
	check(close(second), "close");
	check(close(pair[0]), "close");
	FILE *stream = fdopen(pair[1], "r");
	check(stream ? 0 : -1, "fdopen");
	check(fclose(stream), "fclose");
	void *at = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(at == MAP_FAILED ? -1 : 0, "mmap");
	check(munmap(at, 65536), "munmap");
	atomic_fetch_add(&rounds, 1);
}

static void *work(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop))
		one_round();
	return NULL;
}

static void sleep_ms(long ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

/* A child that took a lock of the shim's with it would hang; alarm() tells. */
static void fork_storm(int children)
{
	for (int i = 0; i < children; i++) {
		int status;
		pid_t child = fork();

		check(child, "fork");
		if (!child) {
			alarm(10);
			for (int n = 0; n < 20; n++)
				one_round();
			_exit(0);
		}
		if (waitpid(child, &status, 0) != child || status)
			program_fail("child %d ended with status %d", i, status);
	}
}

/* Children that share our memory until they are gone, and are to leave no trace in it. */
static void vfork_one(void)
{
	int status = -1;
	pid_t child = vfork(); /* NOLINT */

	if (!child) { /* NOLINTBEGIN */
		close(open("/dev/null", O_RDONLY));
		dup2(1, 50);
		closefrom(3);
		_exit(0);
	} /* NOLINTEND */
	check(child, "vfork");
	if (waitpid(child, &status, 0) != child || status)
		program_fail("a child of vfork() ended with status %d", status);
}

static void spawn_one(void)
{
	char *const argv[] = { (char *)"true", NULL };
	posix_spawn_file_actions_t actions;
	int status = -1;
	pid_t child;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	check(-posix_spawnp(&child, "true", &actions, NULL, argv, environ), "posix_spawn");
	posix_spawn_file_actions_destroy(&actions);
	if (waitpid(child, &status, 0) != child || status)
		program_fail("a child of posix_spawn() ended with status %d", status);
}

static void vfork_storm(int children)
{
	for (int i = 0; i < children; i++) {
		vfork_one();
		spawn_one();
	}
}

static void *sleep_in_open(void *path)
{
	close(open(path, O_WRONLY)); /* a FIFO that nobody reads */
	return NULL;
}

/* Cancelled in the middle of a hook. */
static void cancel_some(const char *fifo, int count)
{
	for (int i = 0; i < count; i++) {
		pthread_t thread;

		check(-pthread_create(&thread, NULL, sleep_in_open, (void *)fifo), "pthread_create");
		sleep_ms(2);
		pthread_cancel(thread);
		pthread_join(thread, NULL);
	}
}

/* Open and close from a signal handler, which may have interrupted any of the hooks. */
static void on_alarm(int signal)
{
	int saved = errno;

	(void)signal;
	close(eventfd(0, 0));
	close(-1);
	errno = saved;
}

static void signal_storm(bool on)
{
	struct itimerval every = { .it_interval.tv_usec = on ? 500 : 0, .it_value.tv_usec = on ? 500 : 0 };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	const char *mode = getenv("THREADS_MODE");

	(void)argc;
	(void)argv;
	program_start();
	for (int i = 0; i < THREADS; i++)
		check(-pthread_create(&threads[i], NULL, work, NULL), "pthread_create");
	if (mode && !strcmp(mode, "fork"))
		fork_storm(60);
	else if (mode && !strcmp(mode, "vfork"))
		vfork_storm(60);
	else if (mode && !strcmp(mode, "cancel"))
		cancel_some("fifo", 50);
	else if (mode && !strcmp(mode, "signal"))
		signal_storm(true);
	sleep_ms(1000);
	signal_storm(false);
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	program_say("rounds were done", atomic_load(&rounds) > THREADS);
	/*
	 * A signal handler's change may be missed while a hook is interrupted: that is for the kernel to be asked
	 * later.
	 */
	return mode && !strcmp(mode, "signal") ? 0 : program_end();
}
