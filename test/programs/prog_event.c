/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* prog_event.c - descriptors without a name, terminals and tun devices. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

static int got(const char *kind, const char *origin, int fd)
{
	program_say(origin, fd);
	if (fd >= 0)
		program_expect(fd, kind, origin, NULL);
	return fd;
}

static void events(void)
{
	int pipes[2], first = got("eventfd", "eventfd", eventfd(3, EFD_CLOEXEC | EFD_NONBLOCK));
	sigset_t set;

	got("epoll", "epoll_create", epoll_create(1));
	got("epoll", "epoll_create1", epoll_create1(EPOLL_CLOEXEC));
	got("timerfd", "timerfd_create", timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	got("inotify", "inotify_init", inotify_init());
	got("inotify", "inotify_init1", inotify_init1(IN_NONBLOCK));
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	int signals = got("signalfd", "signalfd", signalfd(-1, &set, 0));
	program_say("signalfd changed", signalfd(signals, &set, 0));
	program_say("pipe", pipe(pipes));
	program_expect(pipes[0], "pipe", "pipe", NULL);
	program_expect(pipes[1], "pipe", "pipe", NULL);
	program_say("pipe2", pipe2(pipes, O_CLOEXEC | O_NONBLOCK));
	program_expect(pipes[0], "pipe", "pipe2", NULL);
	program_expect(pipes[1], "pipe", "pipe2", NULL);
	program_say("flags", fcntl(pipes[1], F_GETFL));
	program_agree("events");
	for (int fd = first; fd <= pipes[1]; fd++)
		program_say("close", close(fd));
	program_agree("events closed");
}

static void terminals(void)
{
	struct termios settings;
	char text[] = "typed";
	struct iovec parts = { text, sizeof(text) };
	int master, slave;

	program_say("openpty", openpty(&master, &slave, NULL, NULL, NULL));
	program_expect(master, "pty-master", "openpty", NULL);
	program_expect(slave, "terminal", "openpty", NULL);
	program_say("ptsname", strncmp(ptsname(master), "/dev/pts/", 9));
	program_say("tcgetattr", tcgetattr(slave, &settings));
	program_say("tcgetattr", tcgetattr(1, &settings));
	program_say("ptsname", ptsname(1) ? 0 : -1);
	program_say("writev", writev(slave, &parts, 1));
	program_say("readv", readv(master, &parts, 1));
	program_say("writev", writev(-1, &parts, 1));
	program_say("readv", readv(-1, &parts, 1));
	program_agree("terminals");
	program_say("close", close(slave));
	program_say("close", close(master));
}

/* The test runs it in a network namespace of its own where it can make one; refusals are compared as well. */
static void taps(void)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int queued = 0, fd = open("/dev/net/tun", O_RDWR);

	program_say("open", fd);
	if (fd < 0)
		return;
	program_expect(fd, "tun-unattached", "open", "/dev/net/tun");
	strcpy(request.ifr_name, "cprtest%d");
	if (!program_say("TUNSETIFF", ioctl(fd, TUNSETIFF, &request))) {
		printf("%s\n", request.ifr_name);
		program_expect(fd, "tap", "open", "cprtest%d");
	}
	program_say("TUNSETIFF again", ioctl(fd, TUNSETIFF, &request));
	program_say("FIONREAD", ioctl(1, FIONREAD, &queued));
	program_say("TUNGETIFF", ioctl(fd, TUNGETIFF, &request));
	program_say("TCGETS", ioctl(fd, TCGETS, &queued));
	program_agree("taps");
	program_say("close", close(fd));
}

static void failing(void)
{
	struct termios settings;
	sigset_t set;

	sigemptyset(&set);
	program_say("eventfd", eventfd(0, 0x40000000));
	program_say("epoll_create", epoll_create(0));
	program_say("epoll_create1", epoll_create1(12345));
	program_say("timerfd_create", timerfd_create(99, 0));
	program_say("inotify_init1", inotify_init1(12345));
	program_say("signalfd", signalfd(1, &set, 0));
	program_say("pipe2", pipe2((int[2]){ 0 }, 0x1000000));
	program_say("tcgetattr", tcgetattr(4000, &settings));
	program_say("ioctl", ioctl(4000, TUNSETIFF, NULL));
	program_say("ioctl", ioctl(1, 0x541b00));
	program_agree("failing");
}

int main(void)
{
	program_start();
	events();
	terminals();
	taps();
	failing();
	return program_end();
}
