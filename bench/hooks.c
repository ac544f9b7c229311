/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hooks.c - what a hooked call costs against libc's own, in one process and in turns; bench/hooks runs it.
 *
 * Hooked is what the linker binds to, the shim's where that is preloaded; bare is libc's own function, asked for by
 * name. They take turns in short batches, so that what the machine does meanwhile hits both. Prints one line for each
 * call:
 *   <call> <bare median> <5th percentile> <95th> <hooked median> <5th> <95th> <median of the batches' differences>
 * in nanoseconds.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define BATCHES 600
#define CALLS	2000

/* KVM_RUN: any descriptor but a virtual CPU's answers ENOTTY at once. */
#define KVM_RUN _IO(0xae, 0x80)

typedef int ioctl_fn(int fd, unsigned long request, ...);

static struct {
	ioctl_fn *ioctl;
	int (*close)(int fd);
	int (*dup)(int fd);
} hooked = { ioctl, close, dup }, bare;

static int file;

static void *libc_own(void *libc, const char *name)
{
	void *found = dlsym(libc, name);

	if (!found) {
		fprintf(stderr, "hooks: libc has no %s\n", name);
		exit(1);
	}
	return found;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double batch_ioctl(int with_hooks)
{
	ioctl_fn *call = with_hooks ? hooked.ioctl : bare.ioctl;
	double began = now();

	for (int i = 0; i < CALLS; i++)
		call(file, KVM_RUN, 0);
	return (now() - began) / CALLS;
}

static double batch_dup_close(int with_hooks)
{
	int (*dup_call)(int) = with_hooks ? hooked.dup : bare.dup;
	int (*close_call)(int) = with_hooks ? hooked.close : bare.close;
	double began = now();

	for (int i = 0; i < CALLS; i++)
		close_call(dup_call(file));
	return (now() - began) / CALLS;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void sort(double *values)
{
	qsort(values, BATCHES, sizeof(*values), by_value);
}

static void measure(const char *name, double (*batch)(int with_hooks))
{
	static double without[BATCHES], with[BATCHES], difference[BATCHES];

	for (int i = 0; i < BATCHES; i++) {
		/* Whoever goes first has the colder caches. */
		if (i & 1) {
			with[i] = batch(1);
			without[i] = batch(0);
		} else {
			without[i] = batch(0);
			with[i] = batch(1);
		}
		difference[i] = with[i] - without[i];
	}
	sort(without);
	sort(with);
	sort(difference);
	printf("%s %.1f %.1f %.1f %.1f %.1f %.1f %.1f\n", name, without[BATCHES / 2], without[BATCHES / 20],
	       without[BATCHES - BATCHES / 20], with[BATCHES / 2], with[BATCHES / 20], with[BATCHES - BATCHES / 20],
	       difference[BATCHES / 2]);
}

int main(void)
{
	void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
	sigset_t none;

	if (!libc) {
		fprintf(stderr, "hooks: %s\n", dlerror());
		return 1;
	}
	bare.ioctl = (ioctl_fn *)libc_own(libc, "ioctl");
	bare.close = (int (*)(int))libc_own(libc, "close");
	bare.dup = (int (*)(int))libc_own(libc, "dup");
	/*
	 * Tells the shim, in what it takes for a VMM, that threads may be made and the table is to be kept from here
	 * on.
	 */
	sigemptyset(&none);
	signalfd(-1, &none, SFD_CLOEXEC);
	file = open("/dev/null", O_RDWR | O_CLOEXEC);
	printf("interposed %s\n", hooked.ioctl != bare.ioctl ? "yes" : "no");
	measure("ioctl", batch_ioctl);
	measure("dup+close", batch_dup_close);
	return 0;
}
